"""A kind of content in miniature, for rewards: a sample is a list of letters, drawn by a tiny
transformer, ended by a full stop."""

from types import SimpleNamespace

import torch

from genwright.core.content import Measure, Opened, Question, Sample
from genwright.core.contracts import Space
from genwright.core.registry import register
from genwright.models.presets import TransformerSettings
from genwright.objectives.policy import Policy
from genwright.objectives.terms import Rollout, Term
from genwright.rewards.rollout import Rollouts
from genwright.sampling.drawing import Decoding

LETTERS = "abcdef."
END = 6
CONTEXT = 12


class ToyCodec:
    content = "toy"
    space = Space(len(LETTERS), {"end": END}, length=CONTEXT)

    def encode(self, text):
        return [LETTERS.index(letter) for letter in text]


class ToySampler:
    """Questions begin with one letter, or with two."""

    asked = (Question((0,), "a"), Question((1, 2), "bc"))

    def questions(self, opened, rollout, split):
        return self.asked

    def end(self, codec):
        return END

    def decoded(self, codec, question, tokens, logprobs, ended):
        return "".join(LETTERS[token] for token in tokens)

    def real(self, dataset, split, n):
        return [Sample(text) for text in ("abcdef", "bcdefa", "cdefab", "fedcba")][:n]

    def shortened(self, codec, sample, length):
        return sample._replace(content=sample.content[:length])

    def token_of(self, codec, sample, place):
        return place


class ToyData:
    """Real text: letters in the order of the alphabet, again and again."""

    def stream(self, size, seed, lookahead=1):
        return self

    def batch(self, position, examples):
        places = torch.arange(CONTEXT - 2 + (position % 2))
        return {"tokens": (places + position + examples[:, None]) % END}


def letter_a(sample):
    return sample.content.count("a") / max(1, len(sample.content))


def places_of_b(sample):
    return {i: 1.0 for i, letter in enumerate(sample.content) if letter == "b"}


MEASURES = (
    Measure("share of a", letter_a),
    Measure("length", lambda sample: float(len(sample.content))),
    Measure("b", places_of_b, gives="parts"),
    Measure("first", lambda sample: sample.content[0], gives="label"),
)


def as_text(sample):
    return sample.content


def plain(sample):
    """What a person's own measure is given."""
    return sample.content


def add_toy():
    """Registers the content; what a test does first."""
    content = SimpleNamespace(kind="toy", sampler=ToySampler(), as_text=as_text, plain=plain)
    register("content", "toy", content)
    for measure in MEASURES:
        register("measure", f"toy {measure.name}", measure)


def network(seed=0, depth=2, width=16):
    """A tiny transformer whose output layer is no zero."""
    settings = TransformerSettings(
        preset="nanochat", depth=depth, width=width, heads=2, vocabulary=len(LETTERS)
    )
    torch.manual_seed(seed)
    model = settings.resolve(ToyCodec.space, context=CONTEXT, causal=True).build(
        ToyCodec.space, context=CONTEXT, causal=True
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def settings(**changes):
    given = {
        "rewards": (Term(measure="share of a"),),
        "rollout": Rollout(max_tokens=8),
        "candidates": 4,
    }
    return Policy(**(given | changes))


def objective(policy_settings, seed=0):
    built = policy_settings.build({"model": network(seed)}, ToyCodec.space)
    built.begin()
    return built


def stream(policy_settings, built, size=16, seed=0):
    opened = Opened(built, ToyCodec(), Decoding(), ToyData, "toy")
    return Rollouts(policy_settings, size, seed, opened, CONTEXT)
