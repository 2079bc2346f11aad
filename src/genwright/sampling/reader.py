"""Tokens of one sample -> its text, piece by piece: whole characters only, cut before a stop string."""

from collections.abc import Callable, Sequence
from typing import Literal

from genwright.contracts import Codec

_PARTIAL = "�"  # what a codec shows for bytes that are not (yet) a character
_CONTEXT = 4  # tokens decoded again before the new ones, for codecs whose spaces depend on what stands before


class Reader:
    """Follows one row. `feed` it what was drawn; `emit` receives text that can no longer change. Not part of the text: special tokens,
    stop strings, and what was drawn after the end."""

    def __init__(self, codec: Codec, prompt: Sequence[int], end: int | None, stop: Sequence[str], emit: Callable[[str], None] | None):
        self.tokens: list[int] = []
        self.text = ""
        self.stopped: Literal["end", "stop", "length"] | None = None
        self._codec, self._end, self._stop, self._emit = codec, end, stop, emit
        self._released = 0  # characters given to emit
        self._window, self._known = list(prompt), 0  # tokens that are decoded together; how many characters of it are in the text
        self._settle()

    def feed(self, tokens: Sequence[int]) -> bool:
        """Takes the next tokens; returns whether the sample is over."""
        ended = self._end in tokens
        tokens = tokens[: tokens.index(self._end) + 1] if ended else tokens
        for piece in [[token] for token in tokens] if self._stop else [tokens]:  # one by one: what completes a stop string is the last
            if not self.stopped:
                self.tokens += piece
                self._window += piece
                self._show()
        if ended:
            self.close("end")
        return self.stopped is not None

    def close(self, stopped: Literal["end", "length"] = "length") -> None:
        """Nothing follows: bytes that never became a character are shown as such."""
        if not self.stopped:
            self.stopped = stopped
            self._show()

    def _show(self) -> None:
        """Adds what is new to the text, cuts that before the first stop string, and releases what can no longer change: of a sample that
        goes on neither the beginning of a character nor that of a stop string."""
        decoded = self._codec.decode(self._window)
        whole = decoded if self.stopped else decoded.removesuffix(_PARTIAL)
        before, self.text = len(self.text), self.text + whole[self._known :]
        self._known = max(self._known, len(whole))
        if whole == decoded:
            self._settle()
        found = [at for stop in self._stop if (at := self.text.find(stop, max(0, before - len(stop) + 1))) >= 0]
        if found:
            self.text, self.stopped = self.text[: min(found)], "stop"
        until = len(self.text) - (0 if self.stopped else self._held())
        if self._emit and until > self._released:
            self._emit(self.text[self._released : until])
            self._released = until

    def _settle(self) -> None:
        del self._window[:-_CONTEXT]
        self._known = len(self._codec.decode(self._window).removesuffix(_PARTIAL))

    def _held(self) -> int:
        """Length of the longest end of the text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        return next((n for n in range(min(longest, len(self.text)), 0, -1) if any(s.startswith(self.text[-n:]) for s in self._stop)), 0)
