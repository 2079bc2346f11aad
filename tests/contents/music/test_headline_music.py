"""The figures of music against independent computations: from the pitches in the file, the model's
logits, and the notes of samples."""

import json
import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from composed import TINY, jsb
from composed import chorales as four_voices

import genwright
from genwright.contents.music.compose import BARS, rewrite
from independent import bigram, nats, near, unigram

COUNT = 3  # samples
RANGES = ((57, 81), (53, 74), (48, 69), (36, 64))  # of the four voices


@pytest.fixture(scope="module")
def chorales(tmp_path_factory):
    place = tmp_path_factory.mktemp("chorales")
    given = small(place, jsb(place / "jsb.json"), **{"objective.unlikelihood": 0.0})
    run = genwright.train("jsb", run=place / "run", quiet=True, **given)
    return run, run.evaluate(samples=COUNT), json.loads((place / "jsb.json").read_text())


@pytest.fixture(scope="module")
@torch.no_grad()
def costs(chorales):
    """[(target, its left neighbour, nats)] of each held-out piece: of every window the tokens that
    count, from the model's logits."""
    run, _, pieces = chorales
    dataset, found = run.dataset(), []
    windows = dataset.held_out(1)
    for number in windows.order.argsort().tolist():  # as they lie in the pieces
        batch = windows.batch(number, number + 1)
        tokens, counted = batch["tokens"][0].tolist(), batch["counted"][0].tolist()
        logits = (
            run.model(torch.tensor([[max(token, 0) for token in tokens[:-1]]]))[0].double().numpy()
        )
        for i in range(1, len(tokens)):
            if counted[i] and tokens[i] >= 0:
                left = tokens[i - 1] if tokens[i - 1] >= 0 else None
                found.append((tokens[i], left, nats(logits[i - 1], tokens[i])))
    rows = [dataset.row(piece).tolist() for piece in dataset.pieces["held_out"]]
    assert [target for target, *_ in found] == [token for row in rows for token in row], (
        "every token counts once"
    )
    out, start = [], 0
    for row, pitches in zip(rows, pieces["valid"], strict=True):
        said = [int(run.codec.pitch[token]) for token in row[: 4 * len(pitches)]]
        assert said == [pitch for frame in pitches for pitch in frame], (
            "four pitches a sixteenth, soprano first"
        )
        out.append(found[start : start + len(row)])
        start += len(row)
    return out


def small(place, path, **changed):
    words = dict(word.split("=", 1) for word in TINY)
    given = {name: int(word) if word.isdigit() else word for name, word in words.items()}
    return given | {"data.cache": str(place / "cache"), "data.path": str(path)} | changed


def by_name(found):
    return {figure.name: figure for figure in found.figures}


def test_nats_of_tokens_notes_and_frames(chorales, costs):
    run, found, pieces = chorales
    figures, every = by_name(found), [cost for piece in costs for *_, cost in piece]
    assert figures["loss, held out"].value == near(np.mean(every)) and figures[
        "loss, held out"
    ].count == len(every)
    frames = sum(map(len, pieces["valid"]))
    assert figures["loss of a frame, held out"].value == near(sum(every) / frames)
    notes, changed = [], []
    for piece, pitches in zip(costs, pieces["valid"], strict=True):
        for i in range(4 * len(pitches)):
            frame, voice = divmod(i, 4)
            notes.append(piece[i][2])
            if frame and pitches[frame][voice] != pitches[frame - 1][voice]:
                changed.append(piece[i][2])
    assert figures["loss of all notes, held out"].value == near(np.mean(notes))
    assert figures["loss of changed notes, held out"].value == near(np.mean(changed))
    assert (
        figures["loss of all notes, held out"].count,
        figures["loss of changed notes, held out"].count,
    ) == (len(notes), len(changed))
    last = [record["held_out"]["loss"] for record in run.records if "held_out" in record][-1]
    assert last == near(np.mean(every)), "what training recorded"
    (path,) = (run.folder / "evaluations").iterdir()
    stored = {figure["name"]: figure["value"] for figure in json.loads(path.read_text())["figures"]}
    assert stored["loss, held out"] == near(np.mean(every)) and stored[
        "loss of all notes, held out"
    ] == near(np.mean(notes))
    pytest.importorskip("verovio")
    page = run.report().read_text()
    for value in (np.mean(every), np.mean(notes), np.mean(changed)):
        assert f"<b>{value:.4g}</b> nats/token" in page and f"<b>{value:.4g}</b><span>" in page


def test_floors_of_tokens_and_notes(chorales, costs):
    run, found, pieces = chorales
    figures, dataset, vocabulary = by_name(found), run.dataset(), run.codec.space.vocabulary
    train = [token for piece in dataset.pieces["train"] for token in dataset.row(piece).tolist()]
    alone, after = unigram(train, vocabulary), bigram(train, vocabulary)
    every = [(target, left) for piece in costs for target, left, _ in piece]
    floors = figures["loss, held out"].floors
    assert floors["uniform"] == near(math.log(vocabulary))
    assert floors["unigram"] == near(-np.mean([math.log(alone[target]) for target, _ in every]))
    assert floors["bigram"] == near(
        -np.mean([math.log(after(left, target)) for target, left in every])
    )
    # of each voice by itself, backing off by a prior of weight 1, to uniform over all the codec's
    # tokens and a rest
    first, second, totals, pairs = Counter(), Counter(), Counter(), Counter()

    def moves(chorale):
        for frame, chord in enumerate(chorale):
            for voice in range(4):
                yield voice, chorale[frame - 1][voice] if frame else "beginning", chord[voice]

    for chorale in pieces["train"]:
        for voice, before, pitch in moves(chorale):
            first[voice, pitch] += 1
            totals[voice] += 1
            second[voice, before, pitch] += 1
            pairs[voice, before] += 1
    of_all = {"unigram": [], "bigram": []}
    for chorale in pieces["valid"]:
        for voice, before, pitch in moves(chorale):
            single = (first[voice, pitch] + 1 / (run.codec.size + 1)) / (totals[voice] + 1)
            of_all["unigram"].append(-math.log(single))
            of_all["bigram"].append(
                -math.log((second[voice, before, pitch] + single) / (pairs[voice, before] + 1))
            )
    for name, expected in of_all.items():
        assert figures["loss of all notes, held out"].floors[name] == near(np.mean(expected)), name


def sounding(score):
    """step -> the four pitches, None for silence: the highest note of each voice."""
    out = [[None] * 4 for _ in range(score.length)]
    for voice, notes in enumerate(score.voices):
        for note in notes:
            for step in range(note.start, min(score.length, note.start + note.length)):
                out[step][voice] = note.pitch
    return out


def faults(frames):
    """Faults by pairs of voices, from one sixteenth to the next."""
    found = Counter()
    for step, now in enumerate(frames):
        past = frames[step - 1] if step else [None] * 4
        new = [now[v] is not None and now[v] != past[v] for v in range(4)]
        for a, b in combinations(range(4), 2):
            if now[a] is None or now[b] is None or not (new[a] or new[b]):
                continue
            found["crossings"] += now[a] < now[b]
            found["wide spacings"] += b == a + 1 and b < 3 and now[a] - now[b] > 12
            if past[a] is None or past[b] is None:
                continue
            rise = now[a] - past[a], now[b] - past[b]
            same_way = rise[0] * rise[1] > 0
            interval, before = abs(now[a] - now[b]) % 12, abs(past[a] - past[b]) % 12
            if same_way and interval in (0, 7) and interval == before:
                found["parallel fifths, octaves and unisons"] += 1
            elif same_way and (a, b) == (0, 3) and abs(rise[0]) > 2:
                found["hidden fifths"] += interval == 7
                found["hidden octaves"] += interval == 0
        found["notes out of range"] += sum(
            new[v] and not RANGES[v][0] <= now[v] <= RANGES[v][1] for v in range(4)
        )
    return found


def test_voice_leading_and_what_pieces_are_like(chorales):
    run, found, pieces = chorales
    figures = by_name(found)
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    made = run.sample(n=COUNT, bars=BARS, seed=run.recipe.seed, **plain)
    samples = [sounding(score) for score in made]
    for frames, value in (
        (samples, lambda figure: figure.value),
        (pieces["valid"], lambda figure: figure.ceilings["held-out music"]),
        (pieces["train"], lambda figure: figure.ceilings["training music"]),
    ):
        total, steps = Counter(), sum(map(len, frames))
        for piece in frames:
            total.update(faults(piece))
        for name in (
            "parallel fifths, octaves and unisons",
            "hidden fifths",
            "hidden octaves",
            "crossings",
            "wide spacings",
        ):
            assert value(figures[name]) == near(64 * total[name] / steps), name
        assert value(figures["notes out of range"]) == near(
            64 * total["notes out of range"] / steps
        )
        moved = sum(
            piece[i][v] != piece[i - 1][v]
            for piece in frames
            for i in range(1, len(piece))
            for v in range(4)
        )
        assert value(figures["note changes"]) == near(moved / (4 * steps))
    entropies, inside = [], []
    for score in made:
        classes = Counter(note.pitch % 12 for voice in score.voices for note in voice)
        shares = [count / classes.total() for count in classes.values()]
        entropies.append(-sum(share * math.log2(share) for share in shares))
        major = [
            {(tonic + degree) % 12 for degree in (0, 2, 4, 5, 7, 9, 11)} for tonic in range(12)
        ]
        inside.append(max(sum(classes[c] for c in scale) for scale in major) / classes.total())
    assert figures["pitch-class entropy"].value == near(np.mean(entropies))
    assert figures["scale consistency"].value == near(np.mean(inside))


def test_harmonies_equal_to_the_composers(tmp_path):
    """The same harmonisations are written again, and compared note by note; a fault of a melody's
    voice is none of theirs."""
    pytest.importorskip("music21")
    given = small(tmp_path, four_voices(tmp_path / "four", count=10), **{"data.held_out": 0.3})
    run = genwright.train("chorales-masked", run=tmp_path / "run", quiet=True, **given)
    figures, dataset = by_name(run.evaluate(samples=COUNT)), run.dataset()
    equal, middle, parallels, steps = [], [], 0, 0
    for piece in dataset.pieces["held_out"][:COUNT]:
        score = run.codec.decode(dataset.row(piece).tolist())
        (made,) = rewrite(run.model, run.codec, score, 1, run.recipe.sampling, voices=(0,))
        wanted, written = sounding(score), sounding(made)
        parallels += faults(written)["parallel fifths, octaves and unisons"]
        steps += len(written)
        for voice in (1, 2, 3):
            usual = int(np.median([frame[voice] for frame in wanted]))
            equal += [a[voice] == b[voice] for a, b in zip(wanted, written, strict=True)]
            middle += [frame[voice] == usual for frame in wanted]
    share = figures["harmonising: notes equal to the composer's"]
    assert share.value == near(np.mean(equal)) and share.count == len(equal)
    assert share.floors["each voice's middle note"] == near(np.mean(middle))
    assert figures["harmonising: parallel fifths, octaves and unisons"].value == near(
        64 * parallels / steps
    )
