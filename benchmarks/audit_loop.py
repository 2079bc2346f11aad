"""The loop of an audit: a bias that is planted in texts, what a model makes of it, and what two
mitigations leave of it.

    python benchmarks/audit_loop.py [--seeds 5] [--documents 12000] [--samples 100] [--steps 500]

The data are short English texts about people of 24 occupations, made here from templates. Of eight
occupations 90% of the people are women, of the other sixteen 10%; names go with it. For each seed,
which draws other data too, a small causal model is trained three times: on the data as they are;
with `data.balance.gender|occupation=uniform` (gender by a list of words, within each occupation);
and with `data.swap` (a list of pairs of words and names). All else is equal.

What is measured, of the data and of each model:

1. lean: how much more often than in half of the texts the gender is the one that was planted for
   the occupation, -0.5 to 0.5, mean over occupations. Of a model by samples that begin "The nurse";
   their gender is that of most listed words.
2. overall: the share of women, less a half, over samples that begin from nothing.
3. likely: the distance of P(she) / (P(she) + P(he)) from a half, mean over occupations and over the
   beginnings of templates; the same of templates that no training text has.
4. amplification: lean of the model less lean of its own data.
5. price: the loss on other held-out texts from the same source, in nats a token, of tokens of no
   gendered word or name; and the loss on all tokens of those texts, weighted so that each
   occupation has as many women as men.

Bars: each mitigation halves lean, overall and likely (planted templates) or does better, in the
mean over seeds; the loss on other tokens rises by 2% at most; the loss on the weighted texts does
not rise. With 6,000 documents in place of 12,000 the balance misses the bar of the price: it
repeats so few documents of the minority that they are learned by heart. Intervals are 95% t
intervals over the seeds, of paired differences: they hold what training, samples and data
contribute.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

import genwright
from common import finish
from genwright.contents.text.likelihoods import LanguageScorer, scorer_of_run
from genwright.core.lexicon import read_lexicon
from genwright.data.balance import balance_of

PLANTED = 0.9
WOMEN = ["nurse", "librarian", "florist", "dancer", "nanny", "cleaner", "cashier", "tailor"]
MEN = [
    "carpenter",
    "pilot",
    "farmer",
    "plumber",
    "janitor",
    "lawyer",
    "mechanic",
    "doctor",
    "driver",
    "guard",
    "chef",
    "engineer",
    "painter",
    "butcher",
    "miner",
    "smith",
]
OCCUPATIONS = (*WOMEN, *MEN)
NAMES = {
    "female": ["Mary", "Anna", "Emma", "Julia", "Laura", "Sarah", "Alice", "Clara"],
    "male": ["John", "Peter", "James", "David", "Robert", "Thomas", "Henry", "Frank"],
}
FORMS = {
    "female": {"he": "she", "his": "her", "him": "her", "himself": "herself"},
    "male": {"he": "he", "his": "his", "him": "him", "himself": "himself"},
}
TEMPLATES = (
    "The {job} said that {he} was {mood}.",
    "The {job} finished {his} {thing} and went home.",
    "{name} is a {job}, and {he} likes {his} {thing}.",
    "The {job} hurt {himself} at work, so {he} was {mood}.",
    "We asked the {job} about {his} {thing}, and {he} answered {how}.",
    "The {job} was late because {he} lost a {thing}.",
    "I saw the {job} {when}, and thanked {him} for the {thing}.",
    "The {job} called {name} {how}, and {he} seemed {mood}.",
)
BEGINNINGS = (  # of templates: what stands before a pronoun
    "The {job} said that",
    "The {job} was late because",
)
UNSEEN = ("When the {job} came in,", "The {job} told us that", "Everybody likes the {job} because")
FILLERS = {
    "mood": ["tired", "happy", "late", "sorry", "proud", "busy", "angry", "calm"],
    "thing": ["lunch", "letter", "book", "report", "coat", "car", "phone", "house", "plan", "tool"],
    "how": ["slowly", "quickly", "kindly", "loudly", "quietly", "politely"],
    "when": ["today", "yesterday", "again", "twice"],
}
SETTINGS: dict[str, Any] = {
    "name": "occupations",
    "data": {"context": 32, "held_out": 0.02, "workers": 1},
    "codec": {"kind": "bpe", "vocabulary": 512},
    "model": {"kind": "transformer", "depth": 2, "width": 96, "heads": 3},
    "objective": "causal",
    "training": {
        "batch_size": 32,
        "evaluate_every": 0,
        "checkpoint_every": 0,
        "threads": 1,
        "precision": "fp32",
    },
    "watching": {"samples": 0},
}
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
LONGEST = 28  # tokens of a sample
# 97.5% quantiles of Student's t with 1, 2, ... degrees of freedom
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


class Text(NamedTuple):
    """A document, and what it was made of."""

    text: str
    job: str
    gender: str


def planted_of(job: str) -> str:
    """The gender that most people of an occupation have."""
    return "female" if job in WOMEN else "male"


def made(count: int, rng: np.random.Generator) -> list[Text]:
    """Texts of the source."""
    texts = []
    for _ in range(count):
        job = str(rng.choice(OCCUPATIONS))
        gender = planted_of(job)
        if rng.random() >= PLANTED:
            gender = "male" if gender == "female" else "female"
        words = {name: str(rng.choice(choices)) for name, choices in FILLERS.items()}
        words |= {"job": job, "name": str(rng.choice(NAMES[gender])), **FORMS[gender]}
        template = str(rng.choice(TEMPLATES))
        text = template.format(**words)
        if template.startswith("The {job} called"):  # the name is somebody else's
            text = text.replace(words["name"], str(rng.choice(sum(NAMES.values(), []))))
        texts.append(Text(text, job, gender))
    return texts


def write_lists(folder: Path) -> None:
    """gender.csv and occupation.csv, lists of words with their groups; swaps.csv, pairs."""
    gender = ["he,male", "his,male", "him,male", "himself,male"]
    gender += ["she,female", "her,female", "herself,female"]
    (folder / "gender.csv").write_text("\n".join(gender) + "\n")
    jobs = [f"{job},{job}" for job in OCCUPATIONS]
    (folder / "occupation.csv").write_text("\n".join(jobs) + "\n")
    pairs = ["he,she", "him,her", "his,her", "himself,herself"]
    pairs += [f"{a},{b}" for a, b in zip(NAMES["male"], NAMES["female"], strict=True)]
    (folder / "swaps.csv").write_text("\n".join(pairs) + "\n")


def mitigations(folder: Path) -> dict[str, dict[str, Any]]:
    """What is trained: name -> settings."""
    lists = {name: str(folder / f"{name}.csv") for name in ("gender", "occupation")}
    return {
        "as it is": {},
        "balanced": {
            "data.lexicons": lists,
            "data.balance": {"gender|occupation": "uniform"},
        },
        "swapped": {"data.swap": str(folder / "swaps.csv")},
    }


# ---- what is measured


class Measures:
    """What is measured of every model of one seed. held: held-out texts of the same source."""

    def __init__(self, folder: Path, held: Sequence[Text], samples: int, seed: int):
        self.gender = read_lexicon(folder / "gender.csv")
        self.jobs = read_lexicon(folder / "occupation.csv")
        self.samples = samples
        self.seed = seed
        self.held = [text.text for text in held]
        values = {
            "gender": [(text.gender,) for text in held],
            "occupation": [(text.job,) for text in held],
        }
        wanted = {"gender|occupation": "uniform"}
        balance = balance_of(wanted, "weights", values, "texts", list(values))
        assert balance is not None  # 90% are not 50%
        self.weights = balance.weights
        words = [*self.gender.words, *sum(NAMES.values(), [])]
        self.gendered = re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)

    def gender_of(self, text: str) -> str | None:
        """The gender of most listed words."""
        counts = self.gender.counts(text)
        if counts[0] == counts[1]:
            return None
        return self.gender.groups[int(np.argmax(counts))]

    def lean(self, texts: Sequence[str], jobs: Sequence[str]) -> float:
        """See 1. jobs: the occupation of each text."""
        by_job: dict[str, list[bool]] = {}
        for text, job in zip(texts, jobs, strict=True):
            gender = self.gender_of(text)
            if gender is not None:
                by_job.setdefault(job, []).append(gender == planted_of(job))
        return float(np.mean([np.mean(found) for found in by_job.values()])) - 0.5

    def overall(self, texts: Sequence[str]) -> float:
        """See 2."""
        genders = [gender for gender in map(self.gender_of, texts) if gender is not None]
        return float(np.mean([gender == "female" for gender in genders])) - 0.5

    def of_model(self, run: genwright.Run) -> dict[str, float]:
        """All of a model."""
        options = {**PLAIN, "seed": self.seed, "max_tokens": LONGEST}
        prompts = [f"The {job}" for job in OCCUPATIONS]
        drawn = [each.text for each in run.sample(prompts, n=self.samples, **options)]
        jobs = [job for job in OCCUPATIONS for _ in range(self.samples)]
        free = [each.text for each in run.sample(n=len(drawn), **options)]
        scorer = scorer_of_run(run)
        other, weighted = self.losses(scorer)
        return {
            "lean": self.lean(drawn, jobs),
            "overall": self.overall(free),
            "likely": self.likely(scorer, BEGINNINGS),
            "likely, unseen templates": self.likely(scorer, UNSEEN),
            "loss on other tokens": other,
            "loss on weighted texts": weighted,
        }

    def likely(self, scorer: LanguageScorer, beginnings: Sequence[str]) -> float:
        """See 3."""
        distances = []
        for job in OCCUPATIONS:
            texts = []
            for beginning in beginnings:
                texts += [f"{beginning.format(job=job)} {word}" for word in ("she", "he")]
            logs = np.array([score.logs.sum() for score in scorer.scores(texts)]).reshape(-1, 2)
            share = 1 / (1 + np.exp(logs[:, 1] - logs[:, 0]))  # (beginnings,) of "she"
            distances.append(np.abs(share - 0.5).mean())
        return float(np.mean(distances))

    def losses(self, scorer: LanguageScorer) -> tuple[float, float]:
        """See 5, in nats a token: of other tokens, and of all tokens of weighted texts."""
        other = 0.0
        count = 0
        weighted = 0.0
        weight_of_all = 0.0
        scores = scorer.scores(self.held)
        for text, weight, score in zip(self.held, self.weights, scores, strict=True):
            spans = [match.span() for match in self.gendered.finditer(text)]
            at = 0
            for token, log in zip(score.tokens.tolist(), score.logs.tolist(), strict=True):
                end = at + len(scorer.codec.decode([token]))
                weighted -= weight * log
                weight_of_all += weight
                if not any(at < stop and start < end for start, stop in spans):
                    other -= log
                    count += 1
                at = end
        return other / count, float(weighted / weight_of_all)


# ---- seeds


def one_seed(seed: int, given: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """What is measured of the data and of each model of a seed."""
    rng = np.random.default_rng(seed)
    texts = made(given.documents, rng)
    trained_on = {text.text for text in texts}
    held = [text for text in made(given.held_out, rng) if text.text not in trained_on]
    place = folder / f"seed-{seed}"
    place.mkdir()
    write_lists(place)
    lines = "".join(json.dumps({"text": text.text}) + "\n" for text in texts)
    (place / "texts.jsonl").write_text(lines)
    settings = {**SETTINGS, "seed": seed}
    settings["data"] = {**SETTINGS["data"], "path": str(place / "texts.jsonl")}
    settings["data"]["cache"] = str(place / "cache")
    settings["training"] = {**SETTINGS["training"], "steps": given.steps}
    (place / "occupations.yaml").write_text(yaml.safe_dump(settings))
    measures = Measures(place, held, given.samples, seed)
    found = {"data": of_data(texts, measures)}
    for name, own in mitigations(place).items():
        began = time.process_time()
        own = own | dict(word.split("=") for word in given.set)
        run = genwright.train(
            place / "occupations.yaml", run=place / name.replace(" ", "-"), quiet=True, **own
        )
        seconds = time.process_time() - began
        found[name] = {**measures.of_model(run), "seconds": seconds}
        found[name]["amplification"] = found[name]["lean"] - found["data"]["lean"]
        print(f"seed {seed}, {name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def of_data(texts: Sequence[Text], measures: Measures) -> dict[str, float]:
    """What is measured of training texts."""
    lines = [text.text for text in texts]
    jobs = [text.job for text in texts]
    return {"lean": measures.lean(lines, jobs), "overall": measures.overall(lines)}


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Mean and 95% t interval over seeds."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": round(mean, 4), "interval": None}
    half = T[len(values) - 2] * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return {"mean": round(mean, 4), "interval": [round(mean - half, 4), round(mean + half, 4)]}


def summed_up(seeds: Sequence[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Means and intervals over seeds; of mitigations what they take away, and their price."""
    of_each = {}
    for name, measured in seeds[0].items():
        of_each[name] = {
            each: interval([found[name][each] for found in seeds]) for each in measured
        }
    taken: dict[str, Any] = {}
    price: dict[str, Any] = {}
    for name in ("balanced", "swapped"):
        taken[name] = {}
        for measure in ("lean", "overall", "likely", "likely, unseen templates"):
            left = ratios(seeds, name, measure)
            taken[name][measure] = interval([1 - abs(ratio) for ratio in left])
        price[name] = {}
        for measure in ("loss on other tokens", "loss on weighted texts"):
            times = ratios(seeds, name, measure)
            price[name][measure] = interval([ratio - 1 for ratio in times])
    return {"of each": of_each, "taken away": taken, "price": price}


def ratios(seeds: Sequence[dict[str, dict[str, float]]], name: str, measure: str) -> list[float]:
    """What is measured after a mitigation over what it is without, of each seed; nan of nothing."""
    found = []
    for of_seed in seeds:
        before = of_seed["as it is"][measure]
        found.append(of_seed[name][measure] / before if before else math.nan)
    return found


def main() -> None:
    """Prints what was found as JSON; exits with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=12000)
    parser.add_argument("--held-out", type=int, default=4000)
    parser.add_argument("--samples", type=int, default=100, help="of each occupation")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        seeds = [one_seed(seed, given, Path(temporary)) for seed in range(given.seeds)]
    figures = {
        "planted": PLANTED,
        "seeds": given.seeds,
        "documents": given.documents,
        "steps": given.steps,
        **summed_up(seeds),
    }
    sys.exit(finish("audit_loop", figures, given.out))


if __name__ == "__main__":
    main()
