"""No text gets onto a page as markup: whatever a name, a sample, a prompt, a note or a path holds,
the page has the same elements with the same attributes as with a harmless one, and says the text.
"""

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genwright.audit.chart import Bars, bars_chart
from genwright.audit.page import _crossed, examples
from genwright.audit.page_run import table as audit_table
from genwright.audit.shown import Shown
from genwright.contents.images.view import PictureView
from genwright.contents.music.piano_roll import piano_roll_svg
from genwright.contents.music.score import Note, Score
from genwright.contents.music.view import piece_card
from genwright.contents.points.view import PointView
from genwright.contents.text.view import TextView, fill_card, sample_card
from genwright.core.content import Mark, Sample, Section, View
from genwright.core.corpus import Edit
from genwright.curation.page_edits import shown_edit, shown_text
from genwright.curation.page_parts import table as corpus_table
from genwright.evaluation.figure import Figure
from genwright.evaluation.intervals import Share
from genwright.reporting import bars, fragments, svg
from genwright.reporting.lead import Lead
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.page import RunData, document
from genwright.reporting.png import Picture, figure
from genwright.reporting.report import _body
from genwright.rewards.frontier_chart import frontier_html
from genwright.rewards.frontier_points import Frontier, Point
from pages import Page

SOURCES = Path(__file__).parents[2] / "src" / "genwright"
HOSTILE = "<script>alert(1)</script>\" onload='x' &amp; </pre></style></title> ]]> {{ 7 * 7 }}"
# what is trusted to be HTML already: notation, sound, and what a kind of content shows
TRUSTING = {
    "audit/shown.py": 1,
    "contents/music/view.py": 3,
    "curation/page_shown.py": 1,
    "reporting/page.py": 3,
    "reporting/report.py": 2,
    "rewards/page.py": 2,
    "runs/content.py": 1,
}


def of_run(text: str) -> RunData:
    loss = Figure(
        "loss, held out",
        2.0,
        "nats/token",
        9000,
        "tokens",
        {"unigram": 5.5},
        headline=True,
    )
    own = Figure(text, 0.5, text, 16, text, {text: 0.0}, {"real": 0.9}, "higher", text)
    steps = [{"step": 0, "event": text}]
    steps += [{"step": step, "loss": 1 / step, "own": 1.0, "seconds": 1.0} for step in (1, 2, 3)]
    return RunData(
        text,
        trained_on=text,
        recipe_name=text,
        description=text,
        measured_at=text,
        watched={"loss": text},
        records=[*steps, {"step": 3, "held_out": {"loss": 1.0}}],
        figures=[loss, own],
        sections=[Section("Samples", Markup("<b>as it is</b>"), Markup("<i>a note</i>"))],
        data={"licence": text, "digest": text},
        sizes={"parameters": text},
        environment={text: text},
        status=text,
        lead=Lead(verdict=text, beside={"own": {text: 1.0}}),
    )


def share_of(group: str) -> Share:
    return Share(group, 3, 10, 0.3, 0.1, 0.5, 10.0, 3, False)


def edited(text: str) -> Markup:
    whole = f"before {text} behind"
    edit = Edit(7, 7 + len(text), text)
    return shown_edit(whole, [edit], edit) + shown_text(whole, [])


def frontier(text: str) -> Markup:
    point = Point(text, "policy", 1.0, 0.1, 2.0)
    return frontier_html(Frontier(text, 1, 8, 2, "held_out", [point], [text]), 0.5)


def crossed(text: str) -> Markup:
    cell = SimpleNamespace(groups=(text, text), share=share_of(text))
    return _crossed(SimpleNamespace(cells=[cell], names=(text, text), examples=3), [[0.5]])


def score(text: str) -> Score:
    notes = tuple(Note(start, 4, 60 + start) for start in range(0, 16, 4))
    return Score((notes,), 16, names=(text,), facts={"title": text})


def shown(view: View, sample: Sample, *marks: Mark) -> Markup:
    html = view.show(sample, marks).html
    assert isinstance(html, Markup)
    return html


PIECES = {
    "report": lambda text: _body([of_run(text)], text),
    "reports": lambda text: _body([of_run(text), of_run(f"{text}2")], text),
    "table": lambda text: fragments.table_of({text: {text: text}}),
    "long table": lambda text: fragments.table_of({f"{i}{text}": text for i in range(30)}),
    "alarms": lambda text: fragments.alarms([text]),
    "tile": lambda text: fragments.tile(text, text, text),
    "recipe": lambda text: fragments.recipe_of(f"key: {text!r}", text),
    "section": lambda text: fragments.headed(text, Markup(), [Markup("x")], [Markup()]),
    "chart": lambda text: svg.chart(
        [svg.Series(text, [1, 2], [3, 4], kind="points")], {text: 1.0}, label=text, across=text
    ),
    "scale": lambda text: svg.scale(0.5, {text: 0.1}, {text: 0.9}),
    "stack": lambda text: bars.stacked([bars.Part(text, 1, 0)]),
    "histogram": lambda text: bars.histogram(
        [0, 1, 2],
        [bars.Counts(text, [3, 4], 0, 2)],
        [bars.Bound(1, text, text)],
        label=text,
        apart=text,
    ),
    "picture": lambda text: figure(Picture(text, text, b"png")),
    "groups": lambda text: bars_chart([text], [Bars(text, {text: share_of(text)}, 0)], {text: 0.5}),
    "examples": lambda text: examples(text, [Shown(text, text, [Markup("<b>x</b>")])]),
    "intersection": crossed,
    "audit": lambda text: audit_table([text], [[text]], text),
    "corpus": lambda text: corpus_table([text, "n"], [[text, "1"]], 1),
    "edit": edited,
    "frontier": frontier,
    "text": lambda text: shown(
        TextView(), Sample(text * 2), Mark(0, 1, text, text), Mark(0, 1, "prompt")
    ),
    "sample": lambda text: sample_card({"prompt": text, "text": text, "span": (0, 1)}, 3),
    "filled": lambda text: fill_card({"parts": [text, text], "gaps": [[(text, 0.5)]]}),
    "point": lambda text: shown(PointView(), Sample(torch.zeros(2)), Mark(0, 1, "kind", text)),
    "sprite": lambda text: shown(
        PictureView(), Sample(torch.zeros(3, 4, 4), prompt=text), Mark(0, 1, "kind", text)
    ),
    "piece": lambda text: piece_card(text, Score(((),), 16)),
    "roll": lambda text: piano_roll_svg(score(text), [(0, (), text)]),
}


def shape(html: Markup) -> tuple[list[str], list[tuple[str, str]]]:
    """The elements, and the names of their attributes."""
    page = Page(document("title", html))
    return page.tags, [(tag, name) for tag, name, _ in page.attributes]


@pytest.mark.parametrize("piece", PIECES)
@settings(max_examples=20, deadline=None)
@example(HOSTILE)
@example("'\"><svg onload=alert(1)>")
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_text_is_no_markup(piece, text):
    make = PIECES[piece]
    html = make(text)
    assert isinstance(html, Markup)
    assert shape(html) == shape(make("x" * len(text)))


@pytest.mark.parametrize("piece", PIECES)
def test_what_is_hostile_is_said(piece):
    page = Page(document("title", PIECES[piece](HOSTILE)))
    said = page.text + "".join(value or "" for _, _, value in page.attributes)
    part = "<script>alert(1)"  # a name may be shortened
    assert part in said and "{{ 7 * 7" in said or piece == "groups"


def test_a_title_is_no_markup():
    page = Page(document(HOSTILE, Markup("<p>x</p>")))
    assert "script" not in page.tags and HOSTILE in page.text


def test_parts_that_are_no_markup_are_escaped():
    assert joined(["<b>", Markup("<i>x</i>")], "\n") == "&lt;b&gt;\n<i>x</i>"
    html = Templates("genwright.reporting", "fragments.html")
    assert html.soft("<b>") == '<p class="soft">&lt;b&gt;</p>'
    assert html.soft(Markup("<b>")) == '<p class="soft"><b></p>'


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            found.append(node)
    return found


def test_markup_is_made_of_constants_alone():
    """Whatever else is made markup must go through a template, or be named above."""
    trusting = {}
    for path in sorted(SOURCES.rglob("*.py")):
        name = path.relative_to(SOURCES).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if found := len(calls(tree, "trusted")):
            trusting[name] = found
        for call in calls(tree, "Markup"):
            constant = all(isinstance(each, ast.Constant) for each in call.args)
            assert constant or name == "reporting/markup.py", f"{name}:{call.lineno}"
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "html"), name
    assert trusting == TRUSTING


def test_templates_escape_everything():
    for path in SOURCES.rglob("*.html"):
        source = path.read_text(encoding="utf-8")
        assert "safe" not in source and "autoescape" not in source, path


def test_jinja_is_imported_by_the_first_page():
    lines = [
        "import sys",
        "import genwright.runs.report, genwright.audit.page, genwright.contents.music.view",
        "import genwright.curation.page, genwright.rewards.page, genwright.contents.text.content",
        "assert 'jinja2' not in sys.modules",
        "from genwright.reporting.fragments import soft",
        "assert soft('x') and 'jinja2' in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
