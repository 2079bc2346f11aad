"""The commands of corpora: build one from raw files, decide again what of it is trained on, and
look at what became of it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genwright.command_arguments import Quiet

data_app = typer.Typer(
    short_help="Build a corpus from raw files, and see what became of it.",
    help="`data build corpus.yaml` makes a corpus; `data mix` decides again what of it is trained"
    " on; `data report`, `data dropped`, `data removed`, `data trace` show why. Train on it with"
    " data.path=CORPUS.",
    rich_markup_mode=None,
)
CorpusFolder = Annotated[
    Path, typer.Argument(metavar="CORPUS", help="A corpus, for example corpora/mine.")
]


class Where(StrEnum):
    """The choices of --engine."""

    local = "local"
    ray = "ray"


Engine = Annotated[Where, typer.Option(help="Processes of this machine, or tasks of Ray.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes. Default: one a core.")]


@data_app.command("build")
def data_build(
    recipe: Annotated[
        Path, typer.Argument(metavar="CORPUS.YAML", help="What it is made of; or a corpus.")
    ],
    corpus: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Its folder. Default: corpora/NAME.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Documents of a shard, at most: for a first look.")
    ] = None,
    workers: Workers = 0,
    engine: Engine = Where.local,
    quiet: Quiet = False,
) -> None:
    """Make a corpus, or bring it up to date: only what is missing is done."""
    from genwright import api_data
    from genwright.core import progress

    with progress.showing(quiet):
        found = api_data.data_build(
            recipe, corpus=corpus, limit=limit, workers=workers, engine=engine.value
        )
    print(found)


@data_app.command("mix")
def data_mix(corpus: CorpusFolder, workers: Workers = 0, quiet: Quiet = False) -> None:
    """Decide again what is trained on, after corpus.yaml in it was edited."""
    from genwright import api_data
    from genwright.core import progress

    with progress.showing(quiet):
        found = api_data.data_mix(corpus, workers=workers)
    print(found)


@data_app.command("report")
def data_report(
    corpus: CorpusFolder,
    output: Annotated[Path | None, typer.Option(help="Default: CORPUS/report.html.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write an HTML page about a corpus: what became of everything, and why."""
    from genwright import api_data
    from genwright.core import progress

    with progress.showing(quiet):
        written = api_data.data_report(corpus, output)
    print(f"{written}: written")


@data_app.command("dropped")
def data_dropped(
    corpus: CorpusFolder,
    reason: Annotated[
        str, typer.Option(help="For example gopher, or gopher.words. Default: all.")
    ] = "",
    n: Annotated[int, typer.Option("-n", "--documents", min=1, help="How many.")] = 20,
) -> None:
    """Documents that were dropped, by chance, each with the value that was out of bounds."""
    from genwright import api_data

    print(api_data.data_dropped(corpus, reason=reason, n=n))


@data_app.command("removed")
def data_removed(
    corpus: CorpusFolder,
    groups: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Labels, or files of word,group lines: words.csv,language.",
        ),
    ] = "source,licence,language",
    reason: Annotated[
        str, typer.Option(help="For example gopher, or gopher.words. Default: all.")
    ] = "",
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all of it there, too.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """What each step removed of groups of documents, and how often beside the others."""
    from genwright import api_data
    from genwright.core import progress
    from genwright.core.files import write_whole

    names = [name.strip() for name in groups.split(",") if name.strip()]
    with progress.showing(quiet):
        found = api_data.data_removed(corpus, groups=names, reason=reason)
    if csv is not None:
        write_whole(csv, found.csv())
    print(found)


@data_app.command("clusters")
def data_clusters(
    corpus: CorpusFolder,
    similarity: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Another than the recipe's; nothing is computed again."),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--clusters", min=1, help="How many.")] = 5,
) -> None:
    """Copies: how many there are, and the largest clusters of them."""
    from genwright import api_data

    print(api_data.data_clusters(corpus, similarity=similarity, n=n))


@data_app.command("trace")
def data_trace(
    corpus: CorpusFolder,
    document: Annotated[
        str,
        typer.Argument(help="An id, or its first digits; or SHARD:ROW, as a run's batch has it."),
    ],
) -> None:
    """Where a document comes from, down to the raw file, and what became of it."""
    from genwright import api_data

    print(api_data.data_trace(corpus, document))
