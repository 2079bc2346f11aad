"""Groups of examples, by what data say and by rules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genwright.audit.groups import counted, groupings, groups_in, labelled
from genwright.core.errors import GenwrightError
from genwright.recipe.schema import Recipe
from genwright.runs.content import registered
from genwright.runs.request import read_recipe
from labelled import toned_pictures

SENTENCES = ("She sings and he listens.", "He works.", "Nobody is here.", "she, SHE and her")


def texts(folder: Path) -> Recipe:
    """Documents of two folders."""
    for number, text in enumerate(SENTENCES):
        place = folder / "mine" / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(text, encoding="utf-8")
    changes = {
        "data.path": str(folder / "mine"),
        "data.cache": str(folder / "cache"),
        "data.held_out": 0,
        "data.context": 8,
        "data.source": "files",
        "codec": "bytes",
    }
    return read_recipe("shakespeare", changes)


def found_in(recipe: Recipe, names: list[str], split: str = "train") -> Any:
    dataset = recipe.data.prepare(recipe.codec)
    content = registered(dataset.codec.content)
    asked = groupings(names, content, dataset)
    return asked, labelled(asked, content, dataset, split)


def test_words_of_a_list_count_as_often_as_they_stand_there(tmp_path: Path) -> None:
    lexicon = tmp_path / "gender.csv"
    lexicon.write_text("she,female\nher,female\nhe,male\n", encoding="utf-8")
    recipe = texts(tmp_path)
    asked, found = found_in(recipe, [str(lexicon), "folder"])
    assert [grouping.name for grouping in asked] == ["gender", "folder"]
    by_name = {}
    for name, words, folder in zip(
        found.names, found.labels["gender"], found.labels["folder"], strict=True
    ):
        by_name[name] = (sorted(words), folder)
    assert by_name == {
        "b/0.txt": (["female", "male"], ("b",)),
        "a/1.txt": (["male"], ("a",)),
        "b/2.txt": ([], ("b",)),
        "a/3.txt": (["female"] * 3, ("a",)),
    }
    counts = counted(found.labels["gender"], found.clusters, ("female", "male"))
    assert counts.counts.sum(0).tolist() == [4, 2]
    assert (counts.total, counts.silent) == (6, 1)


def test_pictures_have_what_the_data_say_of_them(tmp_path: Path) -> None:

    tones = ["dark" if number % 3 == 0 else "light" for number in range(11)]
    folder = toned_pictures(tmp_path / "pictures", [*tones, None])
    changes = {
        "data.path": str(folder),
        "data.source": "files",
        "data.cache": str(tmp_path / "cache"),
        "data.held_out": 0,
        "codec.size": 8,
    }
    _, found = found_in(read_recipe("emoji-flow", changes), [])
    labels = dict(zip(found.names, found.labels["tone"], strict=True))
    assert labels["0.png"] == ("dark",)
    assert labels["1.png"] == ("light",)
    assert labels["11.png"] == ()
    groups = groups_in(found.labels["tone"])
    assert groups == ("dark", "light")
    assert counted(found.labels["tone"], found.clusters, groups).counts.sum(0).tolist() == [4, 7]
    assert len(np.unique(found.clusters)) == 12


def test_what_gives_no_groups_is_refused_by_name(tmp_path: Path) -> None:
    recipe = texts(tmp_path)
    with pytest.raises(GenwrightError, match="'langage' gives no groups") as problem:
        found_in(recipe, ["langage"])
    assert "language" in problem.value.remedy


def test_a_grouping_is_asked_for_once(tmp_path: Path) -> None:
    with pytest.raises(GenwrightError, match="folder is given twice"):
        found_in(texts(tmp_path), ["folder", "folder"])


def test_lists_of_words_are_for_texts(tmp_path: Path) -> None:
    lexicon = tmp_path / "gender.csv"
    lexicon.write_text("she,female\nhe,male\n", encoding="utf-8")
    recipe = read_recipe("moons-flow", {})
    with pytest.raises(GenwrightError, match="a list of words, and .* have none"):
        found_in(recipe, [str(lexicon)])
