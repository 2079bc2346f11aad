"""Where recipes lie: those that come with the package, files, and run folders."""

from importlib import resources
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError, did_you_mean
from genwright.recipe.yaml_text import read_yaml


def values_of(name_or_path: str | Path) -> tuple[dict[str, Any], str]:
    """The raw settings of a shipped recipe or a file, and the name it has unless it says
    otherwise. Raises GenwrightError."""
    text = str(name_or_path)
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and text.replace("-", "_").isidentifier():
        file = resources.files("genwright") / "recipes" / f"{text}.yaml"
        if file.is_file():
            return read_yaml(file.read_text(encoding="utf-8"), text), text
    if path.is_dir() and (path / "recipe.yaml").is_file():
        path = path / "recipe.yaml"
    elif path.suffix not in (".yaml", ".yml") and not path.is_file():
        near = did_you_mean(text, [name for name, _ in shipped()])
        raise GenwrightError(
            f"there is no recipe {text!r}", f"{near}; or give the path of a .yaml file"
        )
    try:
        return read_yaml(path.read_text(encoding="utf-8"), text), path.stem
    except OSError as error:
        raise GenwrightError(
            f"the recipe {text} cannot be read ({error.strerror})",
            "check the path, or see `genwright recipes`",
        ) from None
    except UnicodeDecodeError as error:
        raise GenwrightError(
            f"the recipe {text} is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from None


def shipped() -> list[tuple[str, str]]:
    """(name, description) of every recipe that comes with the package; imports nothing heavy."""
    folder = resources.files("genwright") / "recipes"
    names = []
    for file in folder.iterdir():
        if file.name.endswith(".yaml"):
            names.append(file.name.removesuffix(".yaml"))
    found = []
    for name in sorted(names):
        values, _ = values_of(name)
        found.append((name, str(values.get("description", ""))))
    return found
