"""What a person meant by a setting that there is not: `steps=5` is `training.steps=5`."""

import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

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
_NEAR = 0.8  # how alike words must be (difflib's ratio): less, and `--run` is taken for `--lr`


def settings_meant(word: str, known: Iterable[str], exact: bool = False) -> list[str]:
    """The dotted settings among `known` that a word may mean, the likeliest first: by its last
    word, by what others call it, or (unless `exact`) by a word that is nearly the same."""
    word = word.strip("-").replace("-", "_").lower()
    names = list(dict.fromkeys(known))
    if word in names:
        return [word]
    wanted = word.rpartition(".")[2]
    last_words = {name: name.rpartition(".")[2] for name in names}
    for asked in (wanted, USUAL.get(wanted)):
        found = [name for name in names if last_words[name] == asked]
        if found:
            return found
    if exact:
        return []
    near = get_close_matches(wanted, set(last_words.values()), n=1, cutoff=_NEAR)
    return [name for name in names if last_words[name] in near]


def written(names: Sequence[str], value: str | None, asked: str = "") -> str:
    """A remedy: the settings as they are typed, three at most. value: what was given; None:
    nothing. asked: the word for which they are meant; a number of epochs is no number of steps."""
    if asked.strip("-") in ("epoch", "epochs"):
        return f"training is counted in steps: set {names[0]}=VALUE"
    shown = "VALUE"
    if value is not None:
        shown = shlex.quote(value)
    typed = [f"{name}={shown}" for name in names[:3]]
    return f"did you mean {' or '.join(typed)}?"
