"""Text: the settings of a corpus, and how it is prepared.

Held-out text: `documents` takes whole documents, equal ones together, until their bytes are the
wanted share (`data/split.py`). `tail` takes the last share of all characters, as is customary for
one long document. An end token follows each document, save where the corpus is a single file under
`tail`: neither the cut nor the end of that one document is worth predicting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from genwright.contents.text.balance import balance
from genwright.contents.text.dataset import TextDataset
from genwright.contents.text.prepare import Preparation
from genwright.contents.text.settings import CorpusSettings
from genwright.core.contracts import Space
from genwright.data.cache import check_digest


class TextData(CorpusSettings, family="data", default=True):
    """Text or code: where it comes from, what is held out, and the windows that a model sees."""

    kind: Literal["text"] = "text"
    """Which data: documents of text, as windows of tokens."""
    content: ClassVar[str] = "text"
    length_field: ClassVar[str] = "context"
    what_is_read: ClassVar[tuple[str, ...]] = (*CorpusSettings.what_is_read, "field")
    counted: ClassVar[str] = "documents"
    usual: ClassVar[dict[str, str]] = {
        "codec": "bpe",
        "model": "transformer",
        "objective": "causal",
    }

    def space(self, codec: Any) -> Space:
        """What windows of this data are, for a network."""
        return replace(codec.space, length=self.context)

    def prepare(self, codec_settings: Any, expect: str | None = None) -> TextDataset:
        """The dataset of this source, split and codec, from the cache or made now. `expect`: the
        digest a run was made with."""
        preparation = Preparation(self)
        codec, shards = preparation.run(codec_settings)
        dataset = TextDataset(
            self,
            codec,
            preparation.cache / "shards",
            shards,
            preparation.files,
            preparation.skipped,
        )
        dataset.summary |= preparation.copies
        dataset.summary["content"] = preparation.content
        dataset.summary["remarks"] += preparation.remarks
        dataset.summary["balance"] = preparation.twins
        dataset.held = preparation.held
        balance(dataset, preparation.cache)
        check_digest(dataset.digest, expect)
        return dataset
