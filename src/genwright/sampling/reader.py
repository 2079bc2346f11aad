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
        if self.stopped:
            return True
        ended = self._end in tokens
        if ended:
            tokens = tokens[: tokens.index(self._end) + 1]
        if not self._stop:
            self._take(tokens)
        for token in tokens if self._stop else ():  # one by one: the token that completes a stop string is the last
            self._take([token])
            if self.stopped:
                return True
        if ended:
            self.close("end")
        return ended

    def close(self, stopped: Literal["end", "length"] = "length") -> None:
        """Nothing follows: bytes that never became a character are shown as such."""
        if not self.stopped:
            self.stopped = stopped
            self._append(self._codec.decode(self._window)[self._known :])
            self._release(len(self.text))

    def _take(self, tokens: Sequence[int]) -> None:
        self.tokens += tokens
        self._window += tokens
        text = self._codec.decode(self._window)
        whole = text.removesuffix(_PARTIAL)
        self._append(whole[self._known :])
        self._known = max(self._known, len(whole))
        if whole == text:
            self._settle()
        if not self.stopped:
            self._release(len(self.text) - self._held())

    def _settle(self) -> None:
        del self._window[:-_CONTEXT]
        self._known = len(self._codec.decode(self._window).removesuffix(_PARTIAL))

    def _append(self, piece: str) -> None:
        """Adds to the text, and cuts it before the first stop string."""
        before, self.text = len(self.text), self.text + piece
        found = [at for stop in self._stop if (at := self.text.find(stop, max(0, before - len(stop) + 1))) >= 0]
        if found:
            self.text = self.text[: min(found)]
            self.stopped = "stop"
            self._release(len(self.text))

    def _held(self) -> int:
        """Length of the longest end of the text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        return next((n for n in range(min(longest, len(self.text)), 0, -1) if any(s.startswith(self.text[-n:]) for s in self._stop)), 0)

    def _release(self, until: int) -> None:
        if self._emit and until > self._released:
            self._emit(self.text[self._released : until])
            self._released = until
