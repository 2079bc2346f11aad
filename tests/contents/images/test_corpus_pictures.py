"""Corpora of pictures: read, measured, compared, mixed, shown, trained on."""

import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import png, scene
from PIL import Image, ImageFilter

import genwright
from decided import decisions, reasons
from genwright.contents.images import corpus_pictures
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.corpus_measures import LONGEST, measured, sharpness
from genwright.contents.images.data import ImagesData
from genwright.contents.images.fingerprint import COSINES, fingerprint, fingerprints
from genwright.contents.images.pictures import Picture
from genwright.contents.images.shrunk import grey
from genwright.core.errors import GenwrightError
from genwright.curation.build import build, open_corpus, read_corpus_recipe, remix
from genwright.curation.built import built
from genwright.curation.look import dropped, trace
from genwright.curation.page import write_page
from genwright.curation.recipe_file import dumped
from genwright.curation.settings import CorpusRecipe, Filter, rule_sets

BROKEN = {
    "cut.png": ("is damaged", lambda: png(scene(1))[:150]),
    "empty.png": ("is empty", bytes),
    "text.jpg": ("is no picture", lambda: b"no picture"),
    "phone.heic": ("a format that is not read", lambda: bytes(20)),
    "old.tga": ("is a TGA", lambda: bytes(20)),
}


@pytest.fixture
def folder(tmp_path):
    """Two sources: 30 scenes; copies of some, and what rules drop."""
    photos = tmp_path / "photos"
    more = tmp_path / "more"
    for number in range(30):
        own = photos / ("day" if number % 2 else "night")
        own.mkdir(parents=True, exist_ok=True)
        (own / f"{number}.png").write_bytes(png(scene(number)))
    more.mkdir()
    (more / "compressed.jpg").write_bytes(png(scene(0), format="JPEG", quality=60))
    (more / "larger.png").write_bytes(png(scene(2).resize((160, 160))))
    (more / "same.png").write_bytes(png(scene(3)))
    (more / "own.png").write_bytes(png(scene(99)))
    (more / "blur.png").write_bytes(png(scene(50).filter(ImageFilter.GaussianBlur(8))))
    (more / "flat.png").write_bytes(png(Image.new("L", (40, 40), 128)))
    (more / "dark.png").write_bytes(png(scene(51).point(lambda value: value // 8)))
    (more / "bright.png").write_bytes(png(scene(52).point(lambda value: 245 + value // 26)))
    (more / "tiny.png").write_bytes(png(scene(53).resize((8, 8))))
    (more / "strip.png").write_bytes(png(scene(54).resize((200, 20))))
    for name, (_, data) in BROKEN.items():
        (more / name).write_bytes(data())
    (more / "notes.txt").write_text("not looked at")
    return tmp_path


def recipe(folder, **changes):
    values = {
        "name": "mine",
        "kind": "images",
        "sources": [
            {"kind": "files", "path": str(folder / "photos")},
            {"kind": "files", "path": str(folder / "more")},
        ],
        "filters": ["pictures"],
        "mix": {"held_out": 0.2},
    }
    return CorpusRecipe(**values | changes)


def test_what_becomes_of_pictures(folder):
    corpus, counts = build(recipe(folder), folder / "mine", workers=1)
    assert reasons(corpus) == {
        "compressed.jpg": "copies.near",
        "larger.png": "copies.near",
        "same.png": "copies.exact",
        "blur.png": "pictures.blur",
        "flat.png": "pictures.flat",
        "dark.png": "pictures.dark",
        "bright.png": "pictures.bright",
        "tiny.png": "pictures.small",
        "strip.png": "pictures.odd",
    }
    assert counts.kept["train"] + counts.kept["held_out"] == 31
    unread = {file: what for file, _, what in corpus.unread}
    assert set(unread) == set(BROKEN)
    for name, (what, _) in BROKEN.items():
        assert what in unread[name]


def test_documents_are_the_files_byte_by_byte(folder):
    corpus, _ = build(recipe(folder), folder / "mine", workers=1)
    seen = 0
    for shard in corpus.shards:
        for row in pq.read_table(shard.documents).to_pylist():
            path = folder / row["source"] / row["file"]
            assert row["data"] == path.read_bytes()
            assert row["bytes"] == path.stat().st_size
            assert row["text"] == row["place"] == ""
            seen += 1
    assert seen == 40


def test_workers_change_no_byte(folder, monkeypatch):
    made = recipe(folder, sources=[{"kind": "files", "path": str(folder / "more")}])
    monkeypatch.setattr("genwright.curation.build.UNIT", 2000)
    one, _ = build(made, folder / "one", workers=1)
    monkeypatch.setattr("genwright.curation.engines.SMALL", 0)  # other processes for any work
    two, _ = build(made, folder / "two", workers=2)
    assert len(one.shards) > 2
    for path in one.folder.rglob("*"):
        relative = path.relative_to(one.folder)
        if path.is_file() and relative.parts[0] != "scans":  # which say when files were looked at
            assert path.read_bytes() == (two.folder / relative).read_bytes()


def test_bounds_can_be_set(folder):
    """Without anything being measured again."""
    other = [{"pictures": {"blur": 0.1, "small": 4, "odd": None, "dark": None}}]
    build(recipe(folder), folder / "mine", workers=1)
    (attributes,) = (folder / "mine" / "attributes").iterdir()
    before = {path: path.stat().st_mtime_ns for path in attributes.iterdir()}
    corpus = open_corpus(folder / "mine")
    remix(type(corpus)(corpus.folder, recipe(folder, filters=other), corpus.shards), workers=1)
    found = set(reasons(corpus).values())
    assert found == {"copies.near", "copies.exact", "pictures.flat", "pictures.bright"}
    assert before == {path: path.stat().st_mtime_ns for path in attributes.iterdir()}


@pytest.mark.parametrize("bounds", [{"smal": 3}, {"small": "many"}, {"odd": 0.5}])
def test_bounds_that_are_none_are_refused(bounds):
    with pytest.raises(GenwrightError, match="filters.pictures"):
        rule_sets("images", [Filter(rules="pictures", settings=bounds)])


def test_a_recipe_with_bounds_reads_back(folder):
    given = recipe(folder, filters=[{"pictures": {"blur": 3, "odd": None}}])
    (folder / "corpus.yaml").write_text(dumped(given))
    assert read_corpus_recipe(folder / "corpus.yaml") == given


def test_another_distance_decodes_nothing_again(folder, monkeypatch):
    build(recipe(folder), folder / "mine", workers=1)
    fresh, _ = build(recipe(folder, deduplicate={"distance": 2}), folder / "fresh", workers=1)

    def fail(*given):
        raise AssertionError

    monkeypatch.setattr("genwright.contents.images.fingerprint.read_bytes", fail)
    corpus, _ = build(recipe(folder, deduplicate={"distance": 2}), folder / "mine", workers=1)
    (family,) = (corpus.folder / "near").glob("signatures-*")
    found = [path for path in (corpus.folder / "near").rglob("*") if path.is_file()]
    assert any(family in path.parents for path in found)
    for path in found:
        other = fresh.folder / path.relative_to(corpus.folder)
        assert path.read_bytes() == other.read_bytes()


def test_pictures_of_archives(folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("a/1.png", png(scene(1)))
        archive.writestr("a/2.png", png(scene(2)))
        archive.writestr("a/cut.png", png(scene(1))[:150])
        archive.writestr("a/notes.txt", "not looked at")
    sources = [{"kind": "archive", "path": str(folder / "all.zip")}]
    corpus, counts = build(
        recipe(folder, sources=sources, mix={"held_out": 0}), folder / "mine", workers=1
    )
    rows = pq.read_table(corpus.shards[0].documents).to_pylist()
    assert [row["place"] for row in rows] == ["entry a/1.png", "entry a/2.png"]
    assert rows[0]["data"] == png(scene(1))
    ((file, place, what),) = corpus.unread
    assert (file, place) == ("all.zip", "entry a/cut.png")
    assert "damaged" in what
    assert counts.kept["train"] == 2


def test_a_bomb_is_refused(folder, monkeypatch):
    monkeypatch.setattr("genwright.contents.images.pictures.LARGEST", 1000)
    (found,) = corpus_pictures.documents("a.png", png(scene(0)))
    assert "as decompression bombs do" in found.what


def test_a_file_that_is_too_large_is_named(folder, monkeypatch):
    content = corpus_pictures.CONTENT
    small = type(content)(**{**content.__dict__, "largest": len(png(scene(0))) - 1})
    monkeypatch.setitem(genwright.core.registry._known["corpus"], "images", small)
    (folder / "large").mkdir()
    (folder / "large" / "a.png").write_bytes(png(scene(0)))
    Image.new("L", (30, 30)).save(folder / "large" / "b.png")
    sources = [{"kind": "files", "path": str(folder / "large")}]
    made = recipe(folder, sources=sources, filters=[], mix={"held_out": 0})
    corpus, _ = build(made, folder / "mine", workers=1)
    ((file, _, what),) = corpus.unread
    assert file == "a.png"
    assert "is larger than" in what


def test_a_budget_of_tokens_is_refused(folder):
    with pytest.raises(GenwrightError, match="budget of text"):
        build(recipe(folder, mix={"tokens": 10}), folder / "mine", workers=1)


# ---- what is measured


def test_measures_by_hand():
    values = np.zeros((20, 60), np.uint8)
    values[:, ::2] = 200
    found = {name: value[0] for name, value in measured([png(Image.fromarray(values))]).items()}
    assert found["side"] == 20
    assert found["ratio"] == 3
    assert found["brightest"] == pytest.approx(200 / 255)
    assert found["darkest"] == 0
    assert found["contrast"] == pytest.approx(100 / 255)
    # of each pixel inside: -2 * 200 where it is bright, 2 * 200 where it is dark
    assert found["sharpness"] == pytest.approx(400**2)


def test_sharpness_is_the_variance_of_the_laplacian():
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 255, (9, 12))
    laplacian = []
    for row in range(1, 8):
        for column in range(1, 11):
            around = values[row - 1, column] + values[row + 1, column]
            around += values[row, column - 1] + values[row, column + 1]
            laplacian.append(around - 4 * values[row, column])
    assert sharpness(values) == pytest.approx(np.var(laplacian))
    assert np.isnan(sharpness(values[:2]))


def test_a_large_picture_is_shrunk_in_bands(monkeypatch):
    picture = Picture(np.asarray(scene(5, 640)))
    whole = grey(picture, LONGEST)
    monkeypatch.setattr("genwright.contents.images.shrunk.BAND", 5000)
    assert whole.shape == (256, 256)
    np.testing.assert_allclose(grey(picture, LONGEST), whole, atol=1e-3)


def test_what_is_no_picture_has_no_values():
    assert np.isnan(measured([b"none"])["side"][0])
    assert not fingerprints([b"none", b""]).known.any()


# ---- by what pictures are alike


def test_a_fingerprint_is_that_of_the_definition():
    """By a plain double sum."""
    small = scene(8, 32)
    values = np.asarray(small) @ np.array([0.299, 0.587, 0.114])
    coefficients = []
    for row in range(1, 9):
        for column in range(1, 9):
            down = np.cos(np.pi * row * (2 * np.arange(32) + 1) / 64)
            across = np.cos(np.pi * column * (2 * np.arange(32) + 1) / 64)
            coefficients.append((values * np.outer(down, across)).sum() * 2 / 32)
    bits = "".join("1" if each > np.median(coefficients) else "0" for each in coefficients)
    assert fingerprint(Picture(np.asarray(small))) == int(bits, 2)
    np.testing.assert_allclose(COSINES @ COSINES.T, np.eye(8), atol=1e-12)


def apart(one, other):
    found = fingerprints([one, other])
    assert found.known.all()
    return (int(found.bits[0]) ^ int(found.bits[1])).bit_count()


def test_copies_are_near_and_others_are_far():
    image = scene(11, 128)
    original = png(image)
    assert apart(original, png(image, format="JPEG", quality=40)) <= 4
    assert apart(original, png(image.resize((77, 91)))) <= 4
    assert apart(original, png(image.filter(ImageFilter.GaussianBlur(2)))) <= 4
    assert apart(original, png(image.point(lambda value: min(255, value + 12)))) <= 4
    others = [apart(original, png(scene(number, 128))) for number in range(12, 40)]
    assert min(others) > 10


@pytest.mark.parametrize("grey_value", [0, 128, 255])
def test_a_picture_that_shows_nothing_has_no_fingerprint(grey_value):
    noise = np.full((40, 40), grey_value, np.uint8) ^ np.eye(40, dtype=np.uint8)
    assert not fingerprints([png(Image.fromarray(noise))]).known.any()


def test_reading_needs_no_torch():
    check = (
        "import sys; from genwright.core.corpus_content import corpus_content;"
        "assert corpus_content('images'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


# ---- looking at it


def test_the_page_shows_pictures(folder):
    corpus, _ = build(recipe(folder), folder / "mine", workers=1)
    page = write_page(corpus, folder / "mine" / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "sharpness is" in page
    assert "differ in at most 4 of 64 bits" in page
    assert "is a TGA" in page
    assert "tokens of 4 bytes" not in page
    assert "five successive words" not in page


def test_the_terminal_says_what_a_picture_is(folder):
    corpus, _ = build(recipe(folder), folder / "mine", workers=1)
    assert "64 x 64 pixels, JPEG" in str(dropped(corpus, "copies.near"))
    name = dropped(corpus, "pictures.odd").documents[0].id
    told = str(trace(corpus, name[:12]))
    assert "200 x 20 pixels, PNG" in told
    assert "dropped for pictures.odd" in told
    assert "not read" in str(built(corpus))


# ---- training


def data(corpus, tmp_path, **changes):
    settings = ImagesData(path=str(corpus), cache=str(tmp_path / "cache"), workers=1, **changes)
    return settings.prepare(ImageSettings(size=16, channels=3))


@pytest.fixture
def mixed(folder):
    """A corpus whose second source is taken three times."""
    changes = {"mix": {"held_out": 0.2, "weights": {"source": {"more": 3}}}}
    build(recipe(folder, **changes), folder / "mine", workers=1)
    return folder / "mine"


def test_training_takes_what_the_mix_says(mixed, tmp_path):
    counts = built(open_corpus(mixed)).counts
    dataset = data(mixed, tmp_path)
    train, held_out = dataset.parts["train"], dataset.parts["held_out"]
    own = decisions(open_corpus(mixed))
    assert own["own.png"]["reason"] == ""
    more = 2 if _side(mixed, "own.png") == "train" else 0
    assert len(train) == counts["kept"]["train"] + more
    assert len(held_out) == counts["kept"]["held_out"]
    names = [train.names([place])[0] for place in range(len(train))]
    assert len(set(names)) == counts["kept"]["train"]


def _side(corpus, file):
    for shard in open_corpus(corpus).shards:
        files = pq.read_table(shard.documents, columns=["file"])["file"].to_pylist()
        if file in files:
            listed = pq.read_table(corpus / "mix" / "list" / f"{shard.key}.parquet")
            return listed["split"].to_pylist()[files.index(file)]
    raise AssertionError(file)


def test_an_example_is_traced_to_its_file(mixed, tmp_path):
    dataset = data(mixed, tmp_path)
    (source,) = dataset.parts["train"].sources(np.array([0]))
    found = trace(open_corpus(mixed), source.document)
    assert found.facts["raw file"].endswith(".png")
    assert "unchanged" in found.facts["sha256 of the file"]
    assert found.facts["sha256 of the file"].startswith(source.digest)


def test_folders_are_classes(mixed, tmp_path):
    dataset = data(mixed, tmp_path)
    assert dataset.codec.space.attributes == {"class": ("day", "night")}


def test_pixels_are_those_of_the_files(mixed, tmp_path, folder):
    dataset = data(mixed, tmp_path)
    codec = dataset.codec
    (source,) = dataset.parts["held_out"].sources(np.array([0]))
    path = trace(open_corpus(mixed), source.document).facts["raw file"]
    assert dataset.parts["held_out"].x([0])[0].equal(codec.encode(path))


def test_another_weight_decodes_nothing_again(mixed, tmp_path, monkeypatch):
    first = data(mixed, tmp_path)
    corpus = open_corpus(mixed)
    changed = corpus.recipe.model_copy(
        update={"mix": corpus.recipe.mix.model_copy(update={"weights": {"source": {"more": 2}}})}
    )
    remix(type(corpus)(corpus.folder, changed, corpus.shards), workers=1)

    def fail(*given):
        raise AssertionError

    monkeypatch.setattr("genwright.contents.images.selected_pictures.read_bytes", fail)
    second = data(mixed, tmp_path)
    assert first.shards == second.shards
    fewer = len(second.parts["train"]) < len(first.parts["train"])
    assert (first.digest != second.digest) == fewer


def test_a_corpus_with_nothing_held_out(folder, tmp_path):
    build(recipe(folder, mix={"held_out": 0}), folder / "mine", workers=1)
    with pytest.raises(GenwrightError, match="nothing of the corpus is held out"):
        data(folder / "mine", tmp_path)
    assert len(data(folder / "mine", tmp_path, held_out=0).parts["held_out"]) == 0


def test_a_corpus_is_named_alone(mixed, folder):
    settings = ImagesData(path=(str(mixed), str(folder / "photos")))
    with pytest.raises(GenwrightError, match="beside others"):
        settings.prepare(ImageSettings(size=16, channels=3))


def test_a_run_trains_on_a_corpus(mixed, tmp_path, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(tmp_path / "cache"))
    written = tmp_path / "tiny.yaml"
    written.write_text(
        "data: {kind: images, path: none}\n"
        "codec: {kind: image, size: 8, channels: 1}\n"
        "model: {kind: conv-vae, width: 4, units: 4}\n"
        "objective: variational\n"
        "training: {steps: 2, batch_size: 4, evaluate_every: 2}\n"
        "watching: {samples: 0}\n"
    )
    run = genwright.train(written, run=tmp_path / "run", quiet=True, **{"data.path": str(mixed)})
    assert run.dataset().summary["train"]["examples"] > 20


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WebP", "TIFF", "BMP", "PPM"])
def test_the_format_is_named(format):
    name = "PNM" if format == "PPM" else format
    data = png(scene(0), format=format)
    assert corpus_pictures.in_words(data) == f"64 x 64 pixels, {name}"
    assert "data:image/png;base64," in corpus_pictures.shown(data)


def test_damaged_texts_in_a_picture_do_no_harm():
    """A chunk of text that unpacks to more than Pillow takes."""
    data = png(scene(0))
    payload = b"note\0\0" + zlib.compress(bytes(80 << 20))
    chunk = b"zTXt" + payload
    whole = struct.pack(">I", len(payload)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = data[:33] + whole + data[33:]  # behind the header
    (document,) = corpus_pictures.documents("a.png", data)
    assert corpus_pictures.in_words(document.data) == "64 x 64 pixels, PNG"
    assert "data:image/png;base64," in corpus_pictures.shown(document.data)
