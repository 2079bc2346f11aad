"""What a person meant by an option that a command does not have: `--steps 5` is
`training.steps=5`."""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

from genwright.core.errors import GenwrightError
from genwright.recipe.explain import Row, explain
from genwright.recipe.schema import Recipe
from genwright.recipe.suggestions import settings_meant, written

_TAKES_SETTINGS = ("train", "inspect", "show")  # commands
# options that one of these commands has, or all have
_OPTIONS = (
    "--run",
    "--resume",
    "--until",
    "--from",
    "--reward",
    "--processes",
    "--quiet",
    "--help",
)


def value_of(option: str, words: Sequence[str]) -> str | None:
    """What a command line gives an option: the word behind it, or behind its =."""
    for place, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and place + 1 < len(words):
            behind = words[place + 1]
            if not behind.startswith("--") and "=" not in behind:
                return behind
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
    values = [row.value for row in rows if row.key == meant[0]]
    if value is None and all(isinstance(each, bool) for each in values):
        value = "true"  # a switch
    return written(meant, value, option)


def _settings_named(words: Sequence[str]) -> list[Row]:
    """The settings of the recipe that a command line names."""
    for word in words:
        with suppress(GenwrightError):
            return list(explain(Recipe.load(word)))
    return []
