"""What a person meant by an option or a setting that there is not: `--steps 5` and `steps=5` are
`training.steps=5`."""

import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from genwright.core.errors import GenwrightError

# what other programs call some settings, by their last word here
USUAL = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "batch": "batch_size",
    "epochs": "steps",
    "iters": "steps",
    "iterations": "steps",
    "max_steps": "steps",
    "max_iters": "steps",
    "layers": "depth",
    "n_layer": "depth",
    "n_layers": "depth",
    "num_layers": "depth",
    "dim": "width",
    "d_model": "width",
    "n_embd": "width",
    "hidden_size": "width",
    "n_head": "heads",
    "n_heads": "heads",
    "num_heads": "heads",
    "block_size": "context",
    "seq_len": "context",
    "max_length": "context",
    "vocab_size": "vocabulary",
    "vocab": "vocabulary",
    "dtype": "precision",
    "grad_clip": "clip",
    "save_every": "checkpoint_every",
    "eval_every": "evaluate_every",
    "warmup_steps": "warmup",
    "img_size": "size",
    "image_size": "size",
    "resolution": "size",
    "epoch": "steps",
    "data": "path",
    "dataset": "path",
    "corpus": "path",
    "input": "path",
}
_TAKES_SETTINGS = ("train", "inspect", "show")
# of these commands
_OPTIONS = ("--run", "--resume", "--until", "--from", "--processes", "--quiet", "--help")
_NEAR = 0.8  # how alike words must be (difflib's ratio): less, and `--run` is taken for `--lr`


def settings_meant(word: str, known: Iterable[str], exact: bool = False) -> list[str]:
    """The dotted settings among `known` that a word may mean, the likeliest first: by its last
    word, by what others call it, or (unless `exact`) by a word that is nearly the same."""
    word = word.strip("-").replace("-", "_").lower()
    names = list(dict.fromkeys(known))
    if word in names:
        return [word]
    wanted = word.rpartition(".")[2]
    last = {name: name.rpartition(".")[2] for name in names}
    for asked in (wanted, USUAL.get(wanted)):
        if found := [name for name in names if last[name] == asked]:
            return found
    near = [] if exact else get_close_matches(wanted, set(last.values()), n=1, cutoff=_NEAR)
    return [name for name in names if last[name] in near]


def written(names: Sequence[str], value: str | None, asked: str = "") -> str:
    """A remedy: the settings as they are typed, three at most. value: what was given; None:
    nothing. asked: the word for which they are meant; a number of epochs is no number of steps."""
    if asked.strip("-") in ("epoch", "epochs"):
        return f"training is counted in steps: set {names[0]}=VALUE"
    shown = "VALUE" if value is None else shlex.quote(value)
    return f"did you mean {' or '.join(f'{name}={shown}' for name in names[:3])}?"


def value_of(option: str, words: Sequence[str]) -> str | None:
    """What a command line gives an option: the word behind it, or behind its =."""
    for place, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if (
            word == option
            and place + 1 < len(words)
            and not words[place + 1].startswith("--")
            and "=" not in words[place + 1]
        ):
            return words[place + 1]
    return None


def option_meant(option: str, command: str, words: Sequence[str]) -> str:
    """A remedy for an option that a command does not have and that is a setting of the recipe: how
    that is typed; "" where nothing is near. words: the command line."""
    if not option or command not in _TAKES_SETTINGS:
        return ""
    after = list(words[words.index(command) + 1 :])
    rows = _settings_named(after)
    misspelt = bool(get_close_matches(option, _OPTIONS, n=1, cutoff=0.7))
    meant = settings_meant(option, [row.key for row in rows], exact=misspelt)
    if not meant:
        return ""
    value = value_of(option, after)
    switch = value is None and all(
        isinstance(row.value, bool) for row in rows if row.key == meant[0]
    )
    return written(meant, "true" if switch else value, option)


def _settings_named(words: Sequence[str]) -> list[Any]:
    """The settings of the recipe that a command line names."""
    from genwright.recipe.schema import Recipe, explain

    for word in words:
        with suppress(GenwrightError):
            return list(explain(Recipe.load(word)))
    return []
