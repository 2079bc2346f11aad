"""Measures of a person's own: functions in a Python file that is named on the command line.

    @genwright.measure(content="text", unit="share", better="higher")
    def ends_well(texts): ...

1. A file is run only where a person names it now (`--reward FILE:NAME`), never because a recipe or
   a run does. A run keeps its name and its SHA-256, as data.
2. A run that is resumed is named the same file again. Its digest is compared before it is run.
3. What is run is what was hashed: the file is read once, and no bytecode is kept or used.

The file stands alone: what it imports must be installed, for a digest says nothing of other files.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from genwright.core.content import Direction, Measure, OwnMeasure, Sample
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import content_of, measure_kinds_of, measures_of
from genwright.objectives.policy import Policy
from genwright.objectives.terms import Term
from genwright.recipe.schema import Recipe
from genwright.runs.request import Request
from genwright.runs.run import Run
from genwright.runs.trained import TrainedRun

Function = Callable[[Sequence[Any]], Sequence[Any]]
CHOICES = {
    "better": ("higher", "lower", "near"),
    "floor": ("noise", "none"),
    "gives": ("number", "parts"),
}
DIGITS = 12  # of a digest, in messages


@dataclass(frozen=True)
class Declared:
    """A function that is declared as a measure; it can still be called. The fields are the
    arguments of `measure`."""

    function: Function
    content: str
    unit: str
    better: Direction
    floor: Literal["noise", "none"]
    gives: Literal["number", "parts"]
    whole: bool

    def __call__(self, contents: Sequence[Any]) -> Sequence[Any]:
        """What the function gives."""
        return self.function(contents)

    def as_measure(self, name: str, file: str) -> Measure:
        """The measure of this name. file: where it is from."""
        plain = content_of(self.content).plain

        def of_all(samples: Sequence[Sample]) -> Sequence[Any]:
            given = list(samples) if self.whole else [plain(sample) for sample in samples]
            values: Any = self.function(given)
            if values is None or isinstance(values, str | int | float):
                raise GenwrightError(
                    f"reward {name} of {file} gives {values!r} for {len(samples)} samples",
                    "return a list with a value for each, in their order",
                )
            return values

        def of(sample: Sample) -> Any:
            return of_all([sample])[0]

        return Measure(
            name,
            of,
            self.unit,
            self.better,
            detail=f"of {file}",
            gives=self.gives,
            of_all=of_all,
            floor=self.floor,
        )


def measure(
    content: str,
    unit: str = "share",
    better: Direction = "higher",
    floor: Literal["noise", "none"] = "noise",
    gives: Literal["number", "parts"] = "number",
    whole: bool = False,
) -> Callable[[Function], Declared]:
    """Declares a function as a measure that `--reward FILE:NAME` can name.

    The function is given a list of samples, and gives as many values: a number each, NaN where it
    says nothing; with gives="parts" a list of (place, number) each, at the parts that earned them.

    content: the kind of content it is for. Samples of text are given as str without their prompt,
    of music as scores, of images as tensors (C, H, W) in [-1, 1]; with whole=True as
    `core.content.Sample`, which has the prompt, the answer and the tokens too.
    unit: of a number; a "share" lies in 0 .. 1.
    better: "higher", "lower", or "near" (a value that a term names as its target).
    floor: "noise", or "none" where noise says nothing of it. Raises GenwrightError."""
    if not isinstance(content, str):
        raise GenwrightError(
            "@genwright.measure does not say of what",
            'write for example @genwright.measure(content="text") above the function',
        )
    for name, value in (("better", better), ("floor", floor), ("gives", gives)):
        if value not in CHOICES[name]:
            raise GenwrightError(
                f"@genwright.measure: {name} is {value!r}", did_you_mean(value, CHOICES[name])
            )

    def declare(function: Function) -> Declared:
        return Declared(function, content, unit, better, floor, gives, whole)

    return declare


# ---- a file


class _Source(importlib.abc.ExecutionLoader):
    """Runs the text of a file that was read already; neither reads nor writes bytecode."""

    def __init__(self, path: str, content: bytes):
        self.path = path
        self.content = content

    def get_filename(self, fullname: str) -> str:
        """What tracebacks name."""
        return self.path

    def get_source(self, fullname: str) -> str:
        """The text."""
        return importlib.util.decode_source(self.content)


@dataclass(frozen=True)
class NamedFile:
    """FILE:NAME of a command line. content: of the file, which is not run yet."""

    file: str
    name: str
    content: bytes

    @property
    def word(self) -> str:
        """As it is named."""
        return f"{self.file}:{self.name}"

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def read_named(word: str) -> NamedFile:
    """Reads FILE:NAME. Raises GenwrightError where there is no such file."""
    file, _, name = word.rpartition(":")
    if not file or not name.isidentifier():
        raise GenwrightError(
            f"--reward {word} does not name a function of a file",
            "write it as FILE:NAME, for example mine.py:harmony",
        )
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise GenwrightError(
            f"--reward {word}: {file} cannot be read ({error.strerror})",
            "give the path of a Python file",
        ) from None
    return NamedFile(file, name, content)


def read_all(words: Iterable[str]) -> list[NamedFile]:
    """Reads each FILE:NAME. Raises GenwrightError also for two of one name."""
    named = [read_named(word) for word in words]
    if len({each.name for each in named}) < len(named):
        raise GenwrightError("--reward names two functions of one name", "rename one of them")
    return named


def module_of(named: NamedFile) -> ModuleType:
    """Runs the file. Raises GenwrightError where that fails."""
    title = f"genwright_reward_{named.sha256[:DIGITS]}"
    loader = _Source(named.file, named.content)
    spec = importlib.util.spec_from_loader(title, loader, origin=named.file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module  # dataclasses look for the module that they are of
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[title]
        if isinstance(error, GenwrightError):  # of the decorator
            raise GenwrightError(f"--reward {named.word}: {error.what}", error.remedy) from error
        raise GenwrightError(
            f"--reward {named.word}: {named.file} cannot be run ({type(error).__name__}: {error})",
            f"mend it until `python {named.file}` works",
        ) from error
    return module


def load_measure(named: NamedFile, content: str) -> OwnMeasure:
    """The measure that a file declares under this name. content: what it must be for. Raises
    GenwrightError."""
    module = module_of(named)
    declared = {name: value for name, value in vars(module).items() if isinstance(value, Declared)}
    if named.name not in declared:
        if named.name in vars(module):
            what = f"--reward {named.word}: {named.name} is not declared as a measure"
            remedy = f'write @genwright.measure(content="{content}") above it'
        else:
            what = f"--reward {named.word}: {named.file} has no measure {named.name!r}"
            remedy = did_you_mean(named.name, declared)
            if not declared:
                remedy = f'declare one: @genwright.measure(content="{content}")'
        raise GenwrightError(what, remedy)
    found = declared[named.name]
    if found.content != content:
        raise GenwrightError(
            f"--reward {named.word} is for {found.content}, and this recipe makes {content}",
            f'name a measure that is declared with content="{content}"',
        )
    if named.name in measures_of(content) or named.name in measure_kinds_of(content):
        raise GenwrightError(
            f"--reward {named.word}: there is a measure {named.name!r} of {content} already",
            "give the function another name",
        )
    made = found.as_measure(named.name, named.file)
    return OwnMeasure(named.file, named.name, named.sha256, made)


# ---- a recipe and a run with it


def own_measures(words: Iterable[str], recipe: Recipe, kept: Any = None) -> list[OwnMeasure]:
    """The measures that are named on a command line. kept: of a run that is resumed, what it keeps
    of those that it was started with. Raises GenwrightError."""
    named = read_all(words)
    if named and not isinstance(recipe.objective, Policy):
        raise GenwrightError(
            f"--reward is for objective policy, and this recipe's is {recipe.objective.kind}",
            "leave it out, or set objective.kind=policy",
        )
    if kept is not None:
        check_same(named, kept)
    return [load_measure(each, recipe.codec.content) for each in named]


def check_same(named: Sequence[NamedFile], kept: Sequence[Mapping[str, str]]) -> None:
    """Raises GenwrightError where a run that is resumed is named other files than those that it was
    started with. kept: what it keeps of them. None of the files is run."""
    there = {each["name"]: each for each in kept}
    here = {each.name: each for each in named}
    for name, before in there.items():
        if name not in here:
            raise _not_named(before)
    for name, now in here.items():
        if name not in there:
            raise GenwrightError(
                f"the run was started without --reward {now.word}",
                "leave it out, or start another run from this one: --from RUN --run DIR",
            )
        before = there[name]
        if now.sha256 != before["sha256"]:
            raise GenwrightError(
                f"{now.file} is not what the run was started with: its SHA-256 begins with"
                f" {now.sha256[:DIGITS]}, and was {before['sha256'][:DIGITS]}",
                "put it back as it was, or start another run from this one: --from RUN --run DIR",
            )


def name_measures(runs: Sequence[Run], words: Sequence[str]) -> None:
    """Gives runs that learned from a person's own measures those that are named again. Raises
    GenwrightError where none of them did from one, and for a file that has changed."""
    named = {each.name: each for each in (read_named(word) for word in words)}
    used: set[str] = set()
    for run in runs:
        kept = {each["name"]: each for each in run.environment.get("rewards", [])}
        own = [named[name] for name in kept if name in named]
        check_same(own, [kept[each.name] for each in own])
        run.measures = [load_measure(each, run.content) for each in own]
        used.update(kept)
    for name, each in named.items():
        if name not in used:
            raise GenwrightError(f"no run here learned from --reward {each.word}", "leave it out")


def measures_to_look_at(
    words: Iterable[str], recipe: Recipe, kept: Sequence[Mapping[str, str]] = ()
) -> list[OwnMeasure]:
    """The measures that are named, for a recipe of any objective: to be looked at, not learned
    from. kept: what the run keeps of those that it learned from, if it is one; they must be named,
    and may have changed since. Raises GenwrightError."""
    named = read_all(words)
    there = {each.name for each in named}
    for each in kept:
        if each["name"] not in there:
            raise _not_named(each)
    return [load_measure(each, recipe.codec.content) for each in named]


def _not_named(kept: Mapping[str, str]) -> GenwrightError:
    """The complaint of a run. kept: of a measure that it learned from."""
    return GenwrightError(
        f"the run is rewarded by {kept['name']} of {kept['file']}, which is not named now",
        f"name it again: --reward {kept['file']}:{kept['name']}",
    )


def measures_of_run(run: TrainedRun) -> Sequence[OwnMeasure]:
    """A person's own measures that a run learned from. Raises GenwrightError for one whose file is
    not named now."""
    there = {own.name for own in run.measures}
    for kept in run.environment.get("rewards", []):
        if kept["name"] not in there:
            word = f"{kept['file']}:{kept['name']}"
            raise GenwrightError(
                f"it learned from {kept['name']} of {kept['file']}, which is not named now",
                f"name it: genwright report {run.folder} --reward {word}",
            )
    return run.measures


def with_terms(recipe: Recipe, measures: Sequence[OwnMeasure]) -> Recipe:
    """The recipe with a term for each measure that it names neither as a term nor as watched:
    weight 1, or -1 where lower is better. Raises GenwrightError for one that is best near some
    value, which only a term can say."""
    objective = recipe.objective
    if not isinstance(objective, Policy):
        return recipe
    mentioned = {term.measure for term in objective.rewards} | set(objective.watched)
    terms = list(objective.rewards)
    for own in measures:
        if own.name in mentioned:
            continue
        if own.measure.direction == "near":
            raise GenwrightError(
                f"--reward {own.word} is best near some value, which is not said",
                f"name it in the recipe: objective.rewards: [{{measure: {own.name}, target: 0.5}}]",
            )
        weight = -1.0 if own.measure.direction == "lower" else 1.0
        terms.append(Term(measure=own.name, weight=weight))
    changed = objective.model_copy(update={"rewards": tuple(terms)})
    return recipe.model_copy(update={"objective": changed})


def with_measures(request: Request, words: Sequence[str]) -> Request:
    """What is asked for, with the measures of a person's own. Raises GenwrightError."""
    kept = None
    if request.resume:
        kept = Run(request.folder).environment.get("rewards", [])
    found = own_measures(words, request.recipe, kept)
    if not found:
        return request
    return replace(request, recipe=with_terms(request.recipe, found), measures=tuple(found))
