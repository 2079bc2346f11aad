"""Drawing, seen by a person: how far it is."""

from __future__ import annotations

from collections.abc import Iterator

from genwright.core.content import Advanced, Event
from genwright.core.progress import task


def shown_events(events: Iterator[Event]) -> Iterator[Event]:
    """The events of drawing; while they pass by, how far it is is shown."""
    with task("drawing samples") as shown:
        for event in events:
            if isinstance(event, Advanced):
                if event.total:
                    shown.expect(event.total, event.unit)
                shown.advance(event.done - shown.done)
            yield event
