"""What was read has a digest that no codec changes, nor the names and the order of files."""

import hashlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from genwright.core.contracts import Source
from genwright.data.cache import digest_of
from genwright.data.content import of_sources
from genwright.recipe.schema import Recipe

SIDES = ("all", "held_out", "train")


def content_of(recipe, folder, cache, **settings):
    read = Recipe.load(
        recipe,
        {
            "data.path": str(folder),
            "data.cache": str(cache),
            "data.held_out": 0.3,
            **{name.replace("__", "."): value for name, value in settings.items()},
        },
    )
    content = read.data.prepare(read.codec).summary["content"]
    assert tuple(sorted(content)) == SIDES and len(set(content.values())) == 3
    return content


def text_in(folder):
    for i in range(12):
        (folder / f"{i}.txt").write_text(f"text {i} " * (i + 5))


def rows_in(folder):
    lines = [f'{{"text": "text {i}", "n": {i}}}\n' for i in range(30)]
    (folder / "rows.jsonl").write_text("".join(lines))


def pictures_in(folder):
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def arrays_in(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 16, 16), np.uint8)
    np.savez(folder / "all.npz", images=pixels)


def tunes_in(folder):
    for i in range(12):
        notes = "".join("CDEFGABc"[int(n)] for n in np.random.default_rng(i).integers(0, 8, 16))
        tune = f"X:1\nT:tune {i}\nM:4/4\nL:1/4\nK:C\n{notes[:4]}|{notes[4:8]}|{notes[8:12]}|]\n"
        (folder / f"{i}.abc").write_text(tune)


KINDS = {
    "text": ("docs", text_in, {"codec": "bytes"}, {"codec": "bpe", "codec__vocabulary": 300}),
    "rows": ("docs", rows_in, {"codec": "bytes"}, {"codec": "characters"}),
    "pictures": ("digits-gan", pictures_in, {"codec__size": 16}, {"codec__size": 8}),
    "npz": ("digits-gan", arrays_in, {"codec__size": 16}, {"codec__size": 8}),
    "music": ("folk-tunes", tunes_in, {"codec": "event"}, {"codec": "grid"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_codec_does_not_change_the_digest_of_what_was_read(tmp_path, kind):
    recipe, write, one, other = KINDS[kind]
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder)
    if recipe == "folk-tunes":
        one, other = (
            {**codec, "data.source": "files", "data__minimum": 1} for codec in (one, other)
        )
    if kind == "npz":
        folder = folder / "all.npz"
    found = content_of(recipe, folder, tmp_path / "cache", **one)
    assert content_of(recipe, folder, tmp_path / "cache", **one) == found, "it is kept"
    assert content_of(recipe, folder, tmp_path / "cache", **other) == found


def test_names_do_not_count_and_contents_do(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    text_in(folder)
    found = content_of("docs", folder, tmp_path / "cache", codec="bytes")
    for i in range(12):
        (folder / f"{i}.txt").rename(folder / f"name{(5 * i) % 12}.txt")
    assert content_of("docs", folder, tmp_path / "cache", codec="bytes") == found
    (folder / "name3.txt").write_text("another text")
    changed = content_of("docs", folder, tmp_path / "cache", codec="bytes")
    assert changed["all"] != found["all"]


def test_a_cut_elsewhere_is_another_split_of_the_same_contents(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("a long text " * 300)
    cuts = [
        content_of("shakespeare", path, tmp_path / "cache", codec="bytes", data__held_out=share)
        for share in (0.1, 0.2)
    ]
    assert cuts[0]["all"] == cuts[1]["all"]
    assert cuts[0]["held_out"] != cuts[1]["held_out"] and cuts[0]["train"] != cuts[1]["train"]


def test_texts_have_one_digest_however_they_are_split_and_packed(tmp_path):
    texts = [f"text {i} " * (i + 5) for i in range(50)]
    folder = tmp_path / "in"
    folder.mkdir()
    for i, text in enumerate(texts):
        (folder / f"{i}.txt").write_text(text)
    found = [
        content_of("docs", folder, tmp_path / "cache", codec="bytes", data__held_out=share)
        for share in (0.1, 0.3, 0.5)
    ]
    total = 0
    for text in texts:
        digest = hashlib.sha256(text.encode()).digest()
        upper, lower = (int.from_bytes(digest[at : at + 8], "little") for at in (0, 8))
        total += (upper << 64) + lower
    expected = digest_of(f"{total % 2**128:032x}", sum(map(len, texts)))
    assert [content["all"] for content in found] == [expected] * 3
    assert len({content["held_out"] for content in found}) == 3
    rows = tmp_path / "rows"
    rows.mkdir()
    lines = [json.dumps({"text": text}) + "\n" for text in reversed(texts)]
    (rows / "all.jsonl").write_text("".join(lines))
    assert content_of("docs", rows, tmp_path / "cache", codec="bytes")["all"] == expected


def test_names_that_are_not_utf_8_have_digests():
    name = os.fsdecode(b"caf\xe9.npz")
    inside = [Source(f"{name}:{row}", name, 32 * "a") for row in range(2)]
    plain = [Source(f"b.npz:{row}", "b.npz", 32 * "a") for row in range(2)]
    found = of_sources({"train": inside, "held_out": []})
    assert found == of_sources({"train": plain, "held_out": []})
    nameless = of_sources({"train": [Source(name)], "held_out": []})
    assert nameless != of_sources({"train": [Source("other")], "held_out": []})


def test_of_a_file_that_holds_several_the_place_and_the_packing_count():
    def of(*sources):
        return of_sources({"train": sources, "held_out": []})["all"]

    first, second = (Source(f"a.npz:{row}", "a.npz", 32 * "a") for row in range(2))
    assert of(first, second) == of(second, first), "the order of reading does not"
    packed = [Source(f"{file}.npz:0", f"{file}.npz", 32 * file) for file in "ab"]
    assert of(first, second) != of(*packed)


def test_sides_sum_up_whatever_their_order_and_copies_count():
    a, b, c = (Source(f"{name}.png", f"{name}.png", 32 * name) for name in "abc")
    renamed = Source("x/other.png", "x/other.png", 32 * "a")
    found = of_sources({"train": [a, b], "held_out": [c]})
    assert of_sources({"train": [b, renamed], "held_out": [c]}) == found
    swapped = of_sources({"train": [a, c], "held_out": [b]})
    assert swapped["all"] == found["all"] and swapped["train"] != found["train"]
    assert of_sources({"train": [a, b, b], "held_out": [c]})["all"] != found["all"]
    rows = [Source(f"all.npz:{i}", "all.npz", 32 * "a") for i in range(2)]
    assert len({of_sources({"train": [row], "held_out": []})["all"] for row in rows}) == 2
