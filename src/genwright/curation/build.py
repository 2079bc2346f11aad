"""From corpus.yaml to a corpus: documents, attributes, near copies, mix; each step only where its
result is not there yet, so that work that was stopped goes on, and a raw file that was added costs
little more than itself.

    corpora/NAME/corpus.yaml     the recipe
                 sources.json    the shards of each source, in order
                 scans/          digests of raw files
                 kept/           copies of lists that filters name, digests of what else they read
                 documents/, attributes/, prepared/, near/, mix/
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genwright.core.corpus import Attributes, RawFile, RuleSet
from genwright.core.corpus_content import corpus_content
from genwright.core.drafts import delete_left
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, lock, read_json, stamp_of, write_whole
from genwright.core.kept_files import Input, file_of, keep_digests, keep_files, open_kept
from genwright.curation.attributes import COMPUTE, folder_of, needed, prepare
from genwright.curation.copies import NEAR_FOLDER
from genwright.curation.engines import Engine, Map, engine
from genwright.curation.mix import MixCounts, mix
from genwright.curation.near import near_copies
from genwright.curation.recipe_file import check_name, keep_recipe
from genwright.curation.settings import CorpusRecipe, Source, of_kind
from genwright.curation.store import AGAIN, UNIT, WRITE, Shard, key_of
from genwright.data.cache import grouped, writing
from genwright.data.scans import digests, roots_of
from genwright.data.selection import RECIPE, SOURCES
from genwright.recipe.refusals import dotted_names
from genwright.recipe.settings import settings_from
from genwright.recipe.yaml_text import read_yaml

log = logging.getLogger(__name__)
LOCK = ".lock"  # there while a build is at work, or was stopped
NOT_CONTENT = ("path",)  # settings of a source that say where, and not what


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk. shards: of all sources, in order."""

    folder: Path
    recipe: CorpusRecipe
    shards: tuple[Shard, ...] = ()

    @property
    def unread(self) -> list[tuple[str, str, str]]:
        """(file, place, why) of what could not be read."""
        found = []
        for shard in self.shards:
            found += [(file, place, what) for file, place, what in shard.facts["unread"]]
        return found


def read_corpus_recipe(path: str | Path, corpus: str | Path | None = None) -> CorpusRecipe:
    """The recipe in a file corpus.yaml, or in a corpus. Where files that its filters name are gone,
    what a corpus keeps of them is used, and a note says so. corpus: which one (default: the one
    that the file is of, else corpora/NAME). Raises GenwrightError."""
    file = Path(path)
    if file.is_dir():
        file = file / RECIPE
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise GenwrightError(
            f"{file} cannot be read ({error.strerror})", "give a file like corpus.yaml, or a corpus"
        ) from None
    values = read_yaml(text, str(file))
    values.setdefault("name", file.parent.name if file.name == RECIPE else file.stem)
    if corpus is None and (Path(path).is_dir() or (file.parent / SOURCES).is_file()):
        corpus = file.parent
    folder = Path(corpus or default_folder(str(values["name"])))
    open_kept(folder)
    recipe: CorpusRecipe = settings_from(CorpusRecipe, values, "", _every_setting)
    for name in _files_named(recipe):
        if file_of(name) != Path(name):
            log.warning("%s is not there: the copy that %s keeps of it is used", name, folder)
    for each in _inputs_of(recipe):
        if each.is_gone:
            log.warning("%s is not there: what %s holds of it is used", each.path, folder)
    return recipe


def default_folder(name: str) -> Path:
    """Where a corpus is made, unless its folder is named."""
    return Path("corpora") / name


def _inputs_of(recipe: CorpusRecipe) -> list[Input]:
    """What filters read, of which a corpus keeps digests."""
    return [each for rules in recipe.rule_sets() for each in rules.inputs]


def _files_named(recipe: CorpusRecipe) -> list[str]:
    """Files that filters name, of which a corpus keeps copies."""
    return [path for rules in recipe.rule_sets() for path in rules.files]


def _every_setting() -> Iterator[str]:
    yield from dotted_names(CorpusRecipe)


def open_corpus(folder: str | Path) -> Corpus:
    """A corpus that was built. Raises GenwrightError."""
    folder = Path(folder).absolute()
    listed = folder / SOURCES
    if not listed.is_file():
        raise GenwrightError(
            f"{folder} is no corpus, or it was never read to its end",
            "make it by genwright data build corpus.yaml",
        )
    keys = read_json(listed.read_text(encoding="utf-8"), listed, AGAIN)
    shards = tuple(Shard(folder, key) for each in keys for key in each["shards"])
    return Corpus(folder, read_corpus_recipe(folder), shards)


def build(
    recipe: CorpusRecipe,
    folder: Path,
    workers: int = 0,
    limit: int | None = None,
    by: Engine = "local",
) -> tuple[Corpus, MixCounts]:
    """Makes a corpus, or brings it up to date. workers, by: see `engines.engine`. limit: documents
    of a shard, at most. Raises GenwrightError."""
    folder = folder.absolute()  # for a worker elsewhere
    check_name(recipe, folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with one_writer(folder), engine(by, workers) as spread:
        with writing(folder):
            keep_recipe(recipe, folder)
            keep_files(folder, _files_named(recipe))
        # before anything is read: what is wrong with what filters name is said at once
        prepare_filters(recipe, folder)
        shards = read_sources(recipe, folder, spread, limit)
        corpus = Corpus(folder, recipe, tuple(shards))
        measure(corpus, spread)
        find_copies(corpus, spread, workers)
        return corpus, mix(corpus.folder, corpus.recipe, corpus.shards, spread)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """One build of a corpus at a time, which deletes what killed ones left. Raises GenwrightError
    where another process is at work."""
    path = folder / LOCK
    try:
        with writing(folder):
            handle = lock(path)
    except BlockingIOError:
        raise GenwrightError(
            f"another process is building the corpus {folder}",
            "wait for it, or name another folder with --corpus",
        ) from None
    with handle:
        delete_left(folder)
        yield
        path.unlink(missing_ok=True)


def remix(corpus: Corpus, workers: int = 0, by: Engine = "local") -> MixCounts:
    """Decides again on every document, by the recipe as it is now. Attributes that new filters need
    are computed. Raises GenwrightError, also where the recipe names other sources than were
    read."""
    _check_sources(corpus)
    with one_writer(corpus.folder), engine(by, workers) as spread:
        with writing(corpus.folder):
            keep_files(corpus.folder, _files_named(corpus.recipe))
        measure(corpus, spread)
        find_copies(corpus, spread, workers)
        return mix(corpus.folder, corpus.recipe, corpus.shards, spread)


def _check_sources(corpus: Corpus) -> None:
    """Raises GenwrightError where sources were added to the recipe, or taken out, since it was
    read."""
    listed = corpus.folder / SOURCES
    known = read_json(listed.read_text(encoding="utf-8"), listed, AGAIN)
    read = [each["source"] for each in known]
    named = [source.name for source in corpus.recipe.sources]
    if read != named:
        raise GenwrightError(
            f"the recipe of {corpus.folder} names the sources {', '.join(named)}, and what was read"
            f" is {', '.join(read)}",
            f"run genwright data build {corpus.folder}",
        )


def read_sources(
    recipe: CorpusRecipe, folder: Path, spread: Map, limit: int | None = None
) -> list[Shard]:
    """The shards of all sources, in order; those that are not there are read. A raw file that
    vanishes meanwhile is named as unread. Raises GenwrightError for a source without a raw file,
    or one whose folder vanishes."""
    found = [find_files(source, folder, recipe.kind) for source in recipe.sources]
    sets = recipe.rule_sets()
    for files in found:
        check_apart(sets, files.source.name, [file.path for file in files.raw])
    gone: set[str] = set()
    while True:
        listed = []
        jobs: dict[str, dict[str, Any]] = {}
        for files in found:
            keys = []
            for job in jobs_of(files, folder, limit, recipe.kind, gone):
                keys.append(job["key"])
                if not Shard(folder, job["key"]).documents.is_file():
                    jobs[job["key"]] = job
            listed.append({"source": files.source.name, "shards": keys})
        vanished: set[str] = set()
        for _, paths in spread(WRITE, list(jobs.values())):
            vanished.update(paths)
        if not vanished:
            break
        for files in found:
            check_there(files)
        gone |= vanished  # their shards are read again without them
    write_whole(folder / SOURCES, json_text(listed, indent=1))
    return [Shard(folder, key) for each in listed for key in each["shards"]]


class SourceFiles(NamedTuple):
    """The raw files of a source, as they were found. stamps, digests: by path; nothing of a file
    that cannot be read. roots: the folders that its paths lie in."""

    source: Source
    raw: list[RawFile]
    stamps: dict[str, list[int]]
    digests: dict[str, str]
    roots: list[str]


def find_files(source: Source, folder: Path, kind_of_corpus: str = "") -> SourceFiles:
    """The raw files of a source. folder: of the corpus, which keeps their digests. Raises
    GenwrightError."""
    given = getattr(source.raw, "path", "")
    paths = [given] if isinstance(given, str) else list(given)
    _check_outside(source, paths, folder)
    roots = roots_of(paths)
    raw = of_kind(source.raw, corpus_content(kind_of_corpus))
    # absolute: a worker may stand elsewhere
    found = [file._replace(path=os.path.abspath(file.path)) for file in raw.find()]
    if not found:
        raise GenwrightError(
            f"the source {source.name} holds no file that is read",
            "correct its path, or leave it out",
        )
    stamps = {file.path: stamp_of(file.path) for file in found}
    contents = digests([file.path for file in found], folder, roots)
    files = SourceFiles(source, found, stamps, contents, roots)
    check_there(files)
    return files


def _check_outside(source: Source, paths: Sequence[str], folder: Path) -> None:
    """Raises GenwrightError where a source names the folder of its own corpus: what a build writes
    there would be read by the next one."""
    for path in paths:
        if os.path.realpath(os.path.expanduser(path)) == os.path.realpath(folder):
            raise GenwrightError(
                f"the source {source.name} reads the folder of its own corpus, {folder}",
                "name a folder in it that holds the raw files alone, or another folder for the"
                " corpus with --corpus",
            )


def check_there(files: SourceFiles) -> None:
    """Raises GenwrightError where a folder of a source vanished since its files were found."""
    for root in files.roots:
        if not os.path.isdir(root):
            raise GenwrightError(
                f"the folder {root} of the source {files.source.name} vanished while it was read",
                "bring it back, or leave the source out",
            )


def jobs_of(
    files: SourceFiles,
    folder: Path,
    limit: int | None,
    kind_of_corpus: str = "",
    gone: Collection[str] = (),
) -> list[dict[str, Any]]:
    """What makes the shards of one source: raw files in groups that hardly change when a file is
    added. gone: paths of those that vanished since they were found."""
    source = files.source
    content = corpus_content(kind_of_corpus)

    def size(file: RawFile) -> float:
        stamp = files.stamps[file.path]
        return float(max(stamp[0] if stamp else 0, 1))

    settings = source.raw.model_dump(mode="json")
    decisive = {name: value for name, value in settings.items() if name not in NOT_CONTENT}
    if content is not None:
        decisive["content"] = [content.kind, content.version]
    kind = settings["kind"]
    jobs = []
    for group in grouped(files.raw, size, lambda file: file.name, UNIT):
        keyed = []
        listed = []
        for file in group:
            digest = files.digests[file.path]
            stamp = files.stamps[file.path]
            if file.path in gone:
                digest = ""
                stamp = []
            keyed.append((file, digest))
            listed.append([file.path, file.name, file.licence, file.date, digest, stamp])
        jobs.append(
            {
                "folder": str(folder),
                "key": key_of(source.name, source.licence, kind, decisive, keyed, limit),
                "source": source.name,
                "licence": source.licence,
                "kind": kind,
                "settings": settings,
                "files": listed,
                "limit": limit,
                "content": kind_of_corpus if content is not None else "",
            }
        )
    return jobs


def check_apart(sets: Sequence[RuleSet], source: str, paths: Sequence[str]) -> None:
    """Raises GenwrightError where a source reads what rules demand to be kept apart from it. paths:
    of raw files of the source."""
    for rules in sets:
        roots = {os.path.realpath(os.path.expanduser(path)) for path in rules.apart}
        for path in paths if roots else ():
            real = os.path.realpath(path)
            above = [str(folder) for folder in Path(real).parents]
            if not roots.isdisjoint([real, *above]):
                raise GenwrightError(
                    f"the source {source} reads {path}, which the filter {rules.name} compares"
                    " documents with",
                    "keep what the filter reads outside of the sources",
                )


def find_copies(corpus: Corpus, spread: Map, workers: int) -> None:
    """Finds exact and near copies, unless the recipe wants none dropped."""
    if corpus.recipe.deduplicate is None:
        return
    near_copies(
        [shard.documents for shard in corpus.shards],
        corpus.folder / NEAR_FOLDER,
        corpus.recipe.deduplicate,
        workers or os.cpu_count() or 1,
        spread,
        corpus.recipe.kind,
    )


def prepare_filters(recipe: CorpusRecipe, folder: Path) -> list[Attributes]:
    """Computes what filters need that is computed once a corpus, and keeps by what it is found
    again. Gives the groups of attributes that the filters ask for. Raises GenwrightError."""
    groups = needed(recipe.kind, recipe.rule_sets())
    prepare(folder, groups)
    with writing(folder):
        keep_digests(folder, _inputs_of(recipe))
    return groups


def measure(corpus: Corpus, spread: Map) -> None:
    """Computes the attributes that the filters need, of the shards that have none yet."""
    content = corpus.recipe.kind
    filters = [each.model_dump(mode="json") for each in corpus.recipe.filters]
    jobs = []
    sets = corpus.recipe.rule_sets()
    if any(each.apart for each in sets):
        for shard in corpus.shards:
            facts = shard.facts
            check_apart(sets, facts["source"], [path for _, _, path in facts["files"]])
    for group in prepare_filters(corpus.recipe, corpus.folder):
        for shard in corpus.shards:
            if not shard.attributes(folder_of(group)).is_file():
                jobs.append(
                    {
                        "folder": str(corpus.folder),
                        "key": shard.key,
                        "content": content,
                        "group": group.name,
                        "filters": filters,
                    }
                )
    for _ in spread(COMPUTE, jobs):
        pass
