import base64
import math
import os
import re
from pathlib import Path

import pytest

from genwright.contents.text.view import fill_card, marked, sample_card
from genwright.core.content import Mark, Section
from genwright.core.errors import GenwrightError
from genwright.evaluation.figure import LOSS, Figure
from genwright.reporting.curves import smooth, thin
from genwright.reporting.head import leading, sentence
from genwright.reporting.lead import Lead
from genwright.reporting.page import RunData, rows
from genwright.reporting.png import Picture, figure
from genwright.reporting.report import write_report
from pages import page_of

HOSTILE = "<script>alert(1)</script>\" onload='x' &amp; </pre></style> ]]>"


def records(steps=300, final=2.0):
    out = [{"step": 0, "held_out": {"loss": 6.0}, "seconds": 1.0}]
    for i in range(1, steps + 1):
        out.append(
            {
                "step": i,
                "loss": final + 4 / i,
                "gradient_norm": 1 / i,
                "rate": 0.5,
                "seconds": 0.25,
                "tokens_per_second": 4000.0,
                "memory_mb": 512.0,
            }
        )
        if i % 100 == 0:
            out.append({"step": i, "held_out": {"loss": final + 4 / i + 0.1}, "seconds": 1.0})
    return out


def texts(prompt, text, span):
    kept = {"prompt": prompt, "text": text, "span": span}
    return Section("Samples", sample_card(kept, 300))


def fills(parts, gaps):
    return Section("Filled gaps", fill_card({"parts": parts, "gaps": gaps}))


def pictures(*shown):
    return Section("Pictures", "".join(map(figure, shown)))


def run_of(name="code", final=2.0, **changed):
    loss = Figure(
        "loss, held out",
        final + 0.1,
        "nats/token",
        9000,
        "tokens",
        {"unigram": 5.5, "bigram": 3.9},
        headline=True,
    )
    share = Figure(
        "parses as Python",
        0.5,
        "share",
        16,
        "samples",
        {"token noise": 0.0},
        {"held-out text": 0.9},
        "higher",
        "cut alike",
        headline=True,
    )
    given = {
        "description": "Python code",
        "recipe": "data: {source: python-stdlib}\ntraining:\n  steps: 300\n",
        "records": records(final=final),
        "figures": [loss, share],
        "sections": [texts("def ", "f(x):\n    return x\n", (2, 9))],
        "data": {"digest": "ab" * 32, "train": {"tokens": 123456}},
        "sizes": {"parameters": 3_154_944},
        "environment": {"python": "3.11", "packages": {"torch": "2.13.0"}},
        "status": "finished",
    }
    return RunData(name, **(given | changed))


def test_one_run_says_everything(tmp_path):
    page, text = page_of(tmp_path, run_of())
    assert (
        "needs 2.1 nats a token" in page.text and "counting pairs of tokens needs 3.9" in page.text
    )
    for part in (
        "bigram 3.9",
        "unigram 5.5",
        "50.0%",
        "held-out text 90.0%",
        "9,000 tokens",
        "ab" * 32,
        "123,456",
        "3.15 M",
        "2.13.0",
        "4,000",
        "512 MB",
        "finished",
    ):
        assert part in page.text, part
    assert {"svg", "path", "mark", "details"} <= set(page.tags)
    assert text.count('class="chart"') == 4, "loss, gradient norm, rate, speed"
    assert [v for t, k, v in page.attributes if t == "i" and k == "style" and "width" in v] == []


def test_nothing_is_fetched_and_nothing_runs(tmp_path):
    page, text = page_of(
        tmp_path, run_of(sections=[fills(["a ", " b"], [[("c", 0.5)]])]), run_of("other")
    )
    assert "http:" not in text and "https:" not in text and "url(http" not in text
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(
        page.tags
    )
    assert not [
        a for a in page.attributes if a[1].startswith("on") or a[1] in ("src", "href", "srcset")
    ]
    policy = next(
        v for t, k, v in page.attributes if t == "meta" and k == "content" and "default-src" in v
    )
    assert policy.startswith("default-src 'none'") and "script" not in policy
    assert "url(" not in text


def test_pictures_are_embedded_and_nothing_else_may_be_shown(tmp_path):
    png = b"\x89PNG the bytes of a file"
    page, text = page_of(
        tmp_path,
        run_of(
            sections=[
                pictures(
                    Picture("Samples", HOSTILE, png), Picture(HOSTILE, "later", png, small=True)
                )
            ]
        ),
    )
    shown = [v for t, k, v in page.attributes if (t, k) == ("img", "src")]
    assert [base64.b64decode(v.removeprefix("data:image/png;base64,")) for v in shown] == [png, png]
    assert (
        page.text.count(HOSTILE) == 2
        and "script" not in page.tags
        and text.count('class="card small"') == 1
    )
    assert [v for t, k, v in page.attributes if (t, k) == ("img", "alt")] == ["Samples", HOSTILE]
    assert "img-src data:;" in text


def test_what_one_sees_at_a_glance_stands_before_curves_and_figures(tmp_path):
    seen = Section("Pictures", "<p>samples</p>", at_a_glance=True)
    more = Section("More pictures", "<p>others</p>")
    _, text = page_of(tmp_path, run_of(sections=[more, seen]))
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings[:4] == ["Pictures", "Curves", "Figures", "More pictures"]


def test_small_charts_beyond_two_rows_are_folded_those_of_held_out_data_come_first(tmp_path):
    lines = []
    for step in (1, 2):
        lines.append({"step": step, **{f"trained_{i}": float(step) for i in range(7)}})
        lines.append({"step": step, "held_out": {f"seen_{i}": float(step) for i in range(4)}})
    _, text = page_of(tmp_path, run_of(records=lines))
    curves = text[text.index("<h2>Curves</h2>") : text.index("<h2>Figures</h2>")]
    opened, folded = curves.split("<details>")
    assert opened.count('class="chart"') == 6 and folded.count('class="chart"') == 5
    assert "<summary>5 more</summary>" in folded
    names = re.findall(r'<svg class="chart"[^>]* aria-label="(.*?) by step"', opened)
    assert names == [*(f"seen {i}" for i in range(4)), "trained 0", "trained 1"]


def test_a_fold_hides_more_than_one_chart(tmp_path):
    lines = [{"step": step, **{f"n{i}": 1.0 for i in range(7)}} for step in (1, 2)]
    _, text = page_of(tmp_path, run_of(records=lines))
    curves = text[text.index("<h2>Curves</h2>") : text.index("<h2>Figures</h2>")]
    assert curves.count('class="chart"') == 7 and "<details>" not in curves


def test_what_is_measured_of_samples_has_curves(tmp_path):
    found = [
        {
            "step": i,
            "held_out": {"coverage": i / 300, "wins": 0.5, "memorised_floor": 0.05},
            "seconds": 1.0,
        }
        for i in (0, 100, 200)
    ]
    steps = [{"step": i, "wins": 0.6, "seconds": 1.0} for i in range(1, 201)]
    page, text = page_of(tmp_path, run_of(records=[*steps, *found]), run_of("other", records=found))
    assert text.count('class="chart"') == 2, (
        "wins (a line and marks in one chart) and coverage; no loss, and a floor is no curve"
    )
    for name in ("code: held out: 0.3333 at step 100", "other: held out: 0.6667 at step 200"):
        assert name in page.text
    assert text.count('<path class="points"') == 4 and text.count('<path class="line"') == 1


def test_hostile_strings_are_text_everywhere(tmp_path):
    hostile = run_of(
        HOSTILE,
        description=HOSTILE,
        recipe=f"x: {HOSTILE}",
        records=[
            {
                "step": i,
                "loss": 1.0,
                HOSTILE: 2.0,
                "skipped": HOSTILE,
                "seconds": 1.0,
                f"{HOSTILE}_per_second": 1.0,
            }
            for i in (1, 2)
        ],
        figures=[
            Figure(
                HOSTILE,
                1.0,
                "nats/token",
                5,
                HOSTILE,
                {HOSTILE: 2.0},
                {HOSTILE: 0.5},
                "lower",
                HOSTILE,
            ),
            Figure("x", 1.0, HOSTILE, 5),
        ],
        sections=[
            texts(HOSTILE, HOSTILE, (3, len(HOSTILE) + 7)),
            fills([HOSTILE, HOSTILE], [[(HOSTILE, 0.5)]]),
        ],
        data={HOSTILE: {HOSTILE: HOSTILE}},
        sizes={"parameters": HOSTILE},
        environment={HOSTILE: [HOSTILE]},
        status=HOSTILE,
    )
    for runs in ([hostile], [hostile, run_of()]):
        page, text = page_of(tmp_path, *runs)
        assert "<script" not in text and "script" not in page.tags
        assert not [a for a in page.attributes if a[1].startswith("on")]
        assert page.text.count(HOSTILE) >= 12


def test_two_runs_are_overlaid_and_side_by_side(tmp_path):
    page, text = page_of(tmp_path, run_of("small", 2.5), run_of("large", 2.0))
    assert "small and large" in page.text
    for name in (
        "small: held out",
        "large: held out",
        "small: training (smoothed)",
        "large: training (smoothed)",
    ):
        assert name in page.text
    header = text[
        text.index("<th>measure</th>") : text.index("</tr>", text.index("<th>measure</th>"))
    ]
    assert header.count("<th") == 3
    row = text[text.index("loss, held out<small>") :]
    assert "2.6" in (cells := row[: row.index("</tr>")]) and "2.1" in cells
    assert text.count(">bigram 3.9</text>") == 1, "floors that agree are drawn once"
    assert len(re.findall(r'<path class="points"', text)) == 2


def test_floors_that_differ_name_their_run(tmp_path):
    other = Figure("loss, held out", 2.0, "nats/token", 9000, "tokens", {"bigram": 3.0})
    page, _ = page_of(tmp_path, run_of("a"), run_of("b", figures=[other]))
    assert "bigram (b) 3" in page.text and "not measured" in page.text


def test_empty_run_and_no_run(tmp_path):
    page, text = page_of(tmp_path, RunData("empty"))
    assert "has not been measured" in page.text and "<h2>" not in text
    page, _ = page_of(
        tmp_path,
        RunData("begun", records=[{"step": 0, "held_out": {"loss": 8.0}, "seconds": 1.0}]),
        RunData("none"),
    )
    assert "Curves" in page.text
    with pytest.raises(GenwrightError, match="needs a run"):
        write_report([], tmp_path / "x.html")
    with pytest.raises(GenwrightError, match="cannot be written"):
        write_report([RunData("x")], tmp_path / "absent" / "x.html")


def test_values_that_are_not_finite(tmp_path):
    bad = [
        {"step": i, "loss": None if i % 3 == 0 else 2.0, "gradient_norm": math.inf, "seconds": 0.1}
        for i in range(1, 50)
    ]
    held = [
        {"step": 10, "held_out": {"loss": None}},
        {"step": 20, "held_out": {"loss": 2.0}},
        {"step": 20, "event": "rolled back from 20 to 10"},
    ]
    page, text = page_of(
        tmp_path,
        run_of(
            records=[*bad, *held], figures=[Figure("loss, held out", math.nan, "nats/token", 0)]
        ),
    )
    assert "nan" not in text.lower().replace("finance", "") and "inf," not in text
    assert "rolled back from 20 to 10" in page.text and "not finite" in page.text


def test_many_alarms_are_cut_short(tmp_path):
    page, text = page_of(
        tmp_path, run_of(records=[{"step": i, "event": f"alarm {i}"} for i in range(30)])
    )
    assert text.count('class="alarm"') == 13 and "and 18 more" in page.text


def test_mark_by_hand():
    prompt, copied = Mark(0, 2, "prompt"), Mark(1, 3, "copied")
    assert marked("abcd<", [prompt]) == '<mark class="prompt">ab</mark>cd&lt;'
    assert marked("abcd", [prompt, copied]) == (
        '<mark class="prompt">a</mark><mark class="prompt"><u class="copy">b</u></mark>'
        '<u class="copy">c</u>d'
    )
    assert marked("abc", [Mark(-5, 99, "copied")]) == '<u class="copy">abc</u>'


def test_fill_shows_the_best_word_and_bars(tmp_path):
    page, text = page_of(
        tmp_path,
        run_of(
            sections=[
                fills(
                    ["The ", " statement returns a ", "."],
                    [[("return", 0.7), ("yield", 0.1)], [("value", 0.6)]],
                )
            ]
        ),
    )
    assert "The return statement returns a value." in page.text
    assert "width:70.0%" in text and "10.0%" in page.text
    assert "there stood" not in page.text, "an earlier version did not keep it"


def test_fill_says_what_stood_in_each_gap():
    gaps = [[("return", 0.7)], [("value", 0.6)]]
    kept = {"parts": ["The ", " returns a ", "."], "gaps": gaps, "hidden": ["yield", "<b>"]}
    card = fill_card(kept)
    assert "gap 1, where there stood <code>yield</code>" in card
    assert "gap 2, where there stood <code>&lt;b&gt;</code>" in card
    assert card.index("yield") < card.index("70.0%") < card.index("gap 2") < card.index("60.0%")


def test_sentence_is_honest_about_a_model_that_learned_nothing():
    bad = run_of(
        figures=[Figure("loss, held out", 6.0, "nats/token", 10, "tokens", {"unigram": 5.0})]
    )
    assert sentence(bad).endswith("more than counting tokens needs 5: it has learned nothing yet.")
    masked = run_of(
        figures=[Figure("loss, held out, masked", 2.0, "nats/token", 10, "hidden tokens")]
    )
    assert "nats a hidden token" in sentence(masked)


def test_a_run_of_pictures_has_a_sentence_of_its_own(tmp_path):
    coverage = Figure(
        "coverage", 0.81, "share", 500, "samples", {"noise": 0.0}, {"real": 0.97}, "higher"
    )
    assert (
        sentence(run_of(figures=[coverage]))
        == "Its samples, beside what real data reaches: coverage 81.0% (real 97.0%)."
    )
    assert (
        sentence(run_of(figures=[Figure("held-out loss", 0.2, "", 5)]))
        == "It has been measured on held-out data."
    )
    codes = Figure(
        "codebook perplexity", 38.0, "codes", 500, "held out", {}, {"all alike": 512.0}, "higher"
    )
    token = Figure("held-out loss", 4.9, "nats/token", 5)
    of_codes = run_of(
        figures=[token, codes, coverage], sections=[pictures(Picture("Samples", "Some.", b"png"))]
    )
    assert (
        sentence(of_codes)
        == "Its samples, beside what real data reaches: coverage 81.0% (real 97.0%)."
    )
    page, text = page_of(tmp_path, run_of(figures=[coverage]))
    assert "<b>81.0%</b><span>coverage" in text


def test_smooth_and_thin():
    assert smooth([1.0, 2.0, 3.0]) == [1, 2, 3]
    flat = smooth([5.0] * 200)
    assert flat == pytest.approx([5.0] * 200)
    noisy = smooth([float(i % 2) for i in range(1200)])
    assert max(abs(v - 0.5) for v in noisy[200:]) < 0.05
    assert smooth([math.nan, 1.0])[1] == 1 and math.isnan(smooth([math.nan, 1.0])[0])
    x, y = thin(range(1001), range(1001), 100)
    assert len(x) <= 101 and x[-1] == 1000 and x == y


def test_rows_are_flat_and_plain():
    assert list(rows({"a_b": {"c": 12345}, "d": None, "e": [1, 2.5], "f": True})) == [
        ("a b / c", "12,345"),
        ("e", "1, 2.5"),
        ("f", "yes"),
    ]


def test_long_tables_fold_but_hold_everything(tmp_path):
    page, text = page_of(
        tmp_path, run_of(data={"shards": {f"shard-{i}": "d" * 8 for i in range(40)}}, recipe="")
    )
    assert all(f"shards / shard-{i}" in page.text for i in range(40))
    assert text.count("<details>") == 1 and "more</summary>" in text


@pytest.mark.parametrize(
    "count, shown", [(7, "7"), (114_688, "115 k"), (3_154_944, "3.15 M"), (1_240_000_000, "1.24 G")]
)
def test_parameters_are_counted_in_the_right_thousand(tmp_path, count, shown):
    page, _ = page_of(tmp_path, run_of(sizes={"parameters": count}))
    assert f"{shown}parameters" in page.text


def test_a_report_replaces_nothing_but_a_regular_file(tmp_path):
    from genwright.runs.report import _page_at

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "page.html")
    for place in (pipe, tmp_path, Path()):
        with pytest.raises(
            GenwrightError, match="it is no regular file; choose another place with --output"
        ):
            _page_at(place)
    assert _page_at(link) == (tmp_path / "page.html").resolve()
    assert _page_at(tmp_path / "new.html") == tmp_path / "new.html"


def test_what_counting_pairs_does_better_is_no_proof_that_nothing_was_learned():
    floors = {"untrained": 5.6, "unigram": 3.8, "bigram": 1.7}
    loss = Figure(LOSS, 2.0, "nats/token", 9, "tokens", floors)
    said = sentence(RunData("run", figures=[loss]))
    assert said.endswith("Counting pairs of tokens needs 1.7, so it knows less than that yet.")


def test_figures_of_which_nobody_can_say_how_good_they_are_come_last(tmp_path):
    wins = Figure("wins", 0.65, "share", 10, "held out", {"untrained": 0.7}, {}, "near")
    recall = Figure("recall", 0.9, "share", 10, "samples", {"noise": 0.1}, {"real": 1.0}, "higher")
    _, text = page_of(tmp_path, RunData("gan", figures=[wins, recall]))
    lines = re.findall(r"<tr><td>(\w+)<small>.*?</tr>", text)
    assert lines == ["recall", "wins"]
    of_wins = text[text.index("<tr><td>wins") :].partition("</tr>")[0]
    assert 'class="scale"' not in of_wins, "its right is no better than its left"
    assert "<b>65.0%</b> <small>" in of_wins, "per cent need no unit"


def test_rows_that_say_nothing_are_left_out():
    values = {"skipped": [], "remarks": (), "files": 0, "split": False, "path": "", "cache": None}
    assert list(rows(values)) == [("files", "0"), ("split", "no")]


def test_a_long_step_is_in_seconds(tmp_path):
    page, _ = page_of(tmp_path, run_of(records=[{"step": 1, "loss": 1.0, "seconds": 14.85}]))
    assert "14.8 s" in page.text and "e+0" not in page.text


def test_a_run_names_its_own_curves_and_no_other_run_s(tmp_path):
    lines = [{"step": step, "kl": 0.5, "reward/good": 1.0} for step in (1, 2)]
    _, own = page_of(tmp_path, RunData("policy", records=lines, lead=Lead(labels={"kl": "nats"})))
    _, other = page_of(tmp_path, RunData("vae", records=lines))
    assert ">nats</text>" in own and ">kl</text>" not in own
    assert ">kl</text>" in other, "of a VAE it is another thing"


def test_what_is_compared_with_real_data_leads():
    units = Figure("active units", 32.0, "units", 256, "pictures", {}, {"all": 64.0}, "near")
    recall = Figure("recall", 0.5, "share", 10, "samples", {"noise": 0.1}, {"real": 0.9}, "higher")
    assert leading([units, recall]) == [recall], "as in the sentence above the tiles"
    assert leading([units]) == [units]
