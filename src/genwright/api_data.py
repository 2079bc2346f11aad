"""The Python interface of corpora, for the command line. It needs no torch, which takes longer to
import than a corpus that hardly changed takes to build.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genwright.curation.build import (
    build,
    default_folder,
    open_corpus,
    read_corpus_recipe,
    remix,
)
from genwright.curation.built import Built, built
from genwright.curation.engines import Engine
from genwright.curation.groups import Clusters, clusters
from genwright.curation.look import Dropped, Trace, dropped, trace
from genwright.curation.removed import removals
from genwright.curation.removed_table import Removed
from genwright.curation.settings import LABELS


def data_build(
    recipe: str | Path,
    *,
    corpus: str | Path | None = None,
    limit: int | None = None,
    workers: int = 0,
    engine: Engine = "local",
) -> Built:
    """Makes a corpus of raw files, or brings it up to date. Printable.

    recipe: a file like corpus.yaml, or a corpus. corpus: its folder (default corpora/NAME, or the
    corpus that was given). limit: documents of a shard, at most. workers: processes, 0: one a core.
    engine: "local", or "ray" (tasks of Ray). Raises GenwrightError."""
    if corpus is None and Path(recipe).is_dir():
        corpus = recipe
    settings = read_corpus_recipe(recipe, corpus)
    folder = Path(corpus or default_folder(settings.name))
    made, _ = build(settings, folder, workers, limit, engine)
    return built(made)


def data_mix(corpus: str | Path, *, workers: int = 0, engine: Engine = "local") -> Built:
    """Decides again what of a corpus is trained on, by its corpus.yaml as it is now. Printable.
    Raises GenwrightError."""
    made = open_corpus(corpus)
    remix(made, workers, engine)
    return built(made)


def data_report(corpus: str | Path, output: str | Path | None = None) -> Path:
    """Writes a page about a corpus, as its last mix left it, and returns its path. output: default
    CORPUS/report.html. Raises GenwrightError."""
    from genwright.curation.page import PAGE, write_page  # it needs torch

    return write_page(open_corpus(corpus), Path(output or Path(corpus) / PAGE))


def data_dropped(corpus: str | Path, *, reason: str = "", n: int = 20) -> Dropped:
    """Documents of a corpus that were dropped, by chance. Printable. reason: one, or a set of
    rules; "": all. Raises GenwrightError."""
    return dropped(open_corpus(corpus), reason, n)


def data_removed(
    corpus: str | Path, *, groups: Sequence[str] = LABELS, reason: str = ""
) -> Removed:
    """What the last mix of a corpus removed, by group of documents, with intervals. Printable.
    groups: labels (source, licence, language), attributes that are labels, or files of words with
    their groups. reason: one, or a set of rules; "": all. Raises GenwrightError."""
    return Removed(removals(open_corpus(corpus), list(groups), reason))


def data_clusters(corpus: str | Path, *, similarity: float | None = None, n: int = 5) -> Clusters:
    """The largest clusters of copies in a corpus. Printable. similarity: another one than that of
    its recipe, from what is stored. Raises GenwrightError."""
    return clusters(open_corpus(corpus), similarity, n)


def data_trace(corpus: str | Path, document: str) -> Trace:
    """Where a document of a corpus comes from. Printable. document: its id, or SHARD:ROW. Raises
    GenwrightError."""
    return trace(open_corpus(corpus), document)
