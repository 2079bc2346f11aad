"""How text is shown: on a terminal as it is drawn, and on a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from genwright.contents.text.fill import Filled
from genwright.contents.text.generate import Generated
from genwright.contents.text.options import SampleOptions
from genwright.contents.text.spelled import spelled
from genwright.core.content import Drawn, Event, Fragment, Mark, Opened, Part, Partial, Sample
from genwright.core.files import write_whole
from genwright.reporting.markup import Markup, Templates, joined

HTML = Templates("genwright.contents.text", "view.html")
# what a terminal would obey
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TextView:
    """See `core.content.View`. Marks are ranges of characters of prompt + text."""

    def write(
        self,
        samples: Sequence[Sample],
        folder: Path,
        options: SampleOptions | None,
        opened: Opened | None,
    ) -> list[Path]:
        """A file of UTF-8 for each sample, its prompt included."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, sample in enumerate(samples, start=1):
            path = folder / f"{number:04d}.txt"
            paths.append(write_whole(path, whole_text(sample)))
        return paths

    def terminal(self, out: TextIO, options: SampleOptions) -> Callable[[Event], None]:
        """Prints samples after their prompts; on a terminal the first as it is drawn."""
        if options.fill is not None:
            return _FilledPrinter(out)
        return _TextPrinter(out, options)

    def show(self, sample: Sample, marks: Sequence[Mark] = ()) -> Fragment:
        """Preformatted text: the prompt marked, what is marked "copied" underlined."""
        return Fragment(HTML.text(marked(whole_text(sample), marks)))

    def parts(self, sample: Sample, codec: Any) -> list[Part]:
        """Its tokens."""
        return [
            Part(spelled(codec, [token]), place, place + 1)
            for place, token in enumerate(sample.tokens)
        ]


def whole_text(sample: Sample) -> str:
    """A sample's prompt and text."""
    content = sample.content
    if isinstance(content, Generated):
        return content.prompt + content.text
    return content.text if isinstance(content, Filled) else str(content)


def marked(text: str, marks: Sequence[Mark]) -> Markup:
    """A text on a page. Marks: "prompt" is highlighted, "copied" underlined; where they overlap
    both. Of any other kind: highlighted, with its note on hovering."""
    places = {0, len(text)}
    for mark in marks:
        places.update((_inside(mark.start, text), _inside(mark.stop, text)))
    edges = sorted(places)
    out = []
    for start, stop in zip(edges, edges[1:], strict=False):
        piece: str = text[start:stop]
        here = [mark for mark in marks if mark.start <= start and stop <= mark.stop]
        kinds = {mark.kind for mark in here}
        if "copied" in kinds:
            piece = HTML.copied(piece)
        if "prompt" in kinds:
            piece = HTML.prompt(piece)
        for kind in sorted(kinds - {"copied", "prompt"}):
            notes = ", ".join(mark.note for mark in here if mark.kind == kind)
            piece = HTML.noted(kind, notes, piece)
        out.append(piece)
    return joined(out)


def _inside(place: int, text: str) -> int:
    return max(0, min(place, len(text)))


def _safe(text: str, out: TextIO) -> str:
    """A model may draw control characters, which a terminal would obey."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) if out.isatty() else text


class _TextPrinter:
    """Prints samples in their order; the first is shown as it is drawn where `out` is a
    terminal."""

    def __init__(self, out: TextIO, options: SampleOptions):
        prompts = options.prompt or ("",)
        self.out = out
        self.live = out.isatty()
        self.total = len(prompts) * (options.n or 1)
        self.row = 0
        self.first = prompts[0] if isinstance(prompts[0], str) else ""
        self.begun = False  # whether the first sample's prompt is there

    def __call__(self, event: Event) -> None:
        if isinstance(event, Partial) and event.number == 0 and self.live:
            if not self.begun:
                self._begin(self.first)
            print(_safe(event.piece, self.out), end="", flush=True, file=self.out)
        elif isinstance(event, Drawn):
            self._sample(event.sample.content)

    def _sample(self, text: Generated) -> None:
        if self.row or not self.begun:
            self._begin(text.prompt)
        shown_already = self.live and self.row == 0
        print("" if shown_already else _safe(text.text, self.out), file=self.out)
        self.row += 1

    def _begin(self, prompt: str) -> None:
        """Of several samples the number, then the prompt, which the sample goes on from. Not before
        there is something to go on with: what is refused prints nothing."""
        self.begun = True
        if self.total > 1:
            print(f"--- {self.row + 1} of {self.total} ---", file=self.out)
        click.secho(_safe(prompt, self.out), bold=True, nl=False, file=self.out)


class _FilledPrinter:
    """Prints a filled text, then the candidates of each gap."""

    def __init__(self, out: TextIO):
        self.out = out

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Drawn):
            return
        filled: Filled = event.sample.content
        print(_safe(filled.text, self.out), file=self.out)
        for number, candidates in enumerate(filled.candidates, start=1):
            listed = ", ".join(f"{c.text!r} {c.probability:.1%}" for c in candidates)
            print(f"gap {number}: {listed}", file=self.out)


# ---- on a report's page


def sample_card(kept: Mapping[str, Any], step: int) -> Markup:
    """A sample of an evaluation (prompt, text, span of the copied characters or None). step: of the
    weights that wrote it."""
    prompt = kept["prompt"]
    text = prompt + kept["text"]
    span = kept["span"]
    marks = [Mark(0, len(prompt), "prompt")]
    notes = [f"step {step:,}"]
    if span and span[1] > span[0]:
        marks.append(Mark(span[0], span[1], "copied"))
        notes.append(f"longest piece of the training data: {span[1] - span[0]:,} characters")
    return HTML.sample(marked(text, marks), "; ".join(notes))


def fill_card(kept: Mapping[str, Any]) -> Markup:
    """A passage whose gaps a model filled (parts around the gaps, one more than `gaps`; of each gap
    the candidates with their probabilities, best first; `hidden`, which earlier versions did not
    keep: what stood there)."""
    pieces: list[tuple[str, str | None]] = []  # of the text: (before a gap, what fills it)
    gaps = []  # of each: (word, width of its bar, probability)
    for part, gap in zip(kept["parts"], [*kept["gaps"], None], strict=True):
        if gap is None:
            pieces.append((part, None))
            continue
        pieces.append((part, gap[0][0] if gap else "?"))
        bars = [(word, f"{chance * 100:.1f}%", f"{chance:.1%}") for word, chance in gap]
        gaps.append(bars)
    hidden = kept.get("hidden") or [None] * len(gaps)
    return HTML.filled(pieces, list(zip(hidden, gaps, strict=True)))
