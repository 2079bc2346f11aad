"""Outside of contents/ nothing names a kind of content: neither in code nor in comments, messages
and help."""

import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

import genwright
from genwright.core.meanings import meaning
from genwright.core.registry import kinds, options_of
from genwright.recipe.schema import Recipe

PACKAGE = Path(genwright.__file__).parent

# Words that only one kind of content has; a part of a name (image_size) is a word as well.
WORDS = re.compile(
    r"(?<![a-z])(pictures?|photos?|images?|imgs?|pixels?|sprites?|emojis?|mnist|inception|fid"
    r"|music|musical|musicxml|melod(?:y|ies)|chords?|voices?|tunes|chorales?|midi?|soundfonts?"
    r"|harmonise|tempo|poems?|prose|tokenizers?|bpe|ring-gan|two-moons)(?![a-z])",
    re.IGNORECASE,
)
# file -> the lines that may say such words
MAY_SAY = {
    # what a page shows of any content may be a picture, in files of PNG and pixels of SVG
    "reporting/*": r"",
    # what people call the folders and arrays of data that are split
    "data/parts.py": r"^_NOUNS = |test_images",
    "data/workers.py": r"TOKENIZERS_PARALLELISM",  # a variable that a library reads
    "models/hf.py": r"tokenizer files",  # of a folder of Hugging Face
    "models/unet.py": r"F\.pixel_(un)?shuffle",  # a function of torch
    "models/residual.py": r"F\.pixel_(un)?shuffle",
    "evaluation/features.py": r"F\.pixel_unshuffle",
    # what a function of a person's own is given, for each kind that comes with the program
    "rewards/user_file.py": r"of music as scores, of images as tensors",
    "data/source_files.py": r"\.jpe?g|\.mid ",  # suffixes of files that are not read as text
    "curation/sources/html.py": r"area base br col embed",  # elements of HTML that have no end
    "recipe/suggestions.py": r'^    "\w+": "\w+",$',  # what other programs call settings
    # an option of rich, and examples of what may be named
    "cli.py": r"emoji=False",
    "command_rewards.py": r"For example text, music",
    "runs/environment.py": r"^PACKAGES = ",  # whose versions are kept
}


def said_in(place: str, text: str) -> list[str]:
    """The lines of a file that say what they should not."""
    allowed = [lines for pattern, lines in MAY_SAY.items() if fnmatch(place, pattern)]
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = WORDS.search(line)
        if said and not any(re.search(lines, line) for lines in allowed):
            found.append(f"{place}:{number}: {said[0]}: {line.strip()}")
    return found


def files_outside() -> dict[str, str]:
    """Path in the package -> text, of all that is not in a room of contents."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith("contents/"):
            found[place] = path.read_text(encoding="utf-8")
    return found


def test_nothing_outside_contents_says_words_of_one_kind_of_content():
    files = files_outside()
    assert len(files) > 120
    found = []
    for place, text in files.items():
        found += said_in(place, text)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line", ["# of pictures", "image_size = 3", 'kind == "music"', "FID", "Voices move"]
)
def test_the_words_are_found(line):
    assert said_in("runs/x.py", line) and not said_in("reporting/x.py", line)


def test_exceptions_are_needed():
    files = files_outside()
    for pattern, lines in MAY_SAY.items():
        used = []
        for place, text in files.items():
            if fnmatch(place, pattern):
                used += [line for line in text.splitlines() if WORDS.search(line)]
        assert any(re.search(lines, line) for line in used), pattern


def test_no_kind_of_content_stands_in_code_outside_contents():
    """As a value that is compared or looked up; "text" is also what a column, a field of a line or
    a file of plain text is called, and "points" a way to draw a chart."""
    names = {*kinds("content"), *kinds("data")} - {"text", "points"}
    assert {"image", "music", "images"} <= names
    found = []
    for place, text in files_outside().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and node.value in names:
                found.append(f"{place}:{node.lineno}: {node.value!r}")
    assert not found, "\n".join(found)


def test_no_content_is_imported_outside_contents():
    for place, text in files_outside().items():
        for node in ast.walk(ast.parse(text)):
            module = getattr(node, "module", None) or ""
            assert not module.startswith("genwright.contents"), f"{place}:{node.lineno}"


def test_help_of_shared_settings_says_nothing_of_one_kind_of_content():
    shared = [Recipe, *kinds("model").values(), *kinds("objective").values()]
    for cls in shared:
        if cls.__module__.startswith("genwright.contents"):
            continue
        for name in cls.model_fields:
            said = WORDS.search(meaning(cls, name))
            assert not said, f"{cls.__name__}.{name}: {meaning(cls, name)}"
    for cls in options_of("sample").values():
        for name in cls.model_fields:
            of_room = any(
                name in vars(base).get("__annotations__", {})
                for base in cls.__mro__
                if base.__module__.startswith("genwright.contents")
            )
            if not of_room:
                assert not WORDS.search(meaning(cls, name)), f"{cls.__name__}.{name}"
