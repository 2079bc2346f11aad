"""A trained run, opened from its folder: sample, evaluate, export, report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genwright.core.content import Drawn, Event, Opened, OwnMeasure, Partial
from genwright.core.contracts import Codec, Objective
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import read_json
from genwright.core.options import Options
from genwright.core.parameters import parameters_named
from genwright.core.registry import CodecSettings, Settings, kinds
from genwright.recipe.options import check_options, parameters_of
from genwright.recipe.schema import Recipe, build
from genwright.runs import assemble
from genwright.runs.checkpoint_figures import Evaluation
from genwright.runs.content import Content, Exporter, kind_of
from genwright.runs.evaluate import evaluate
from genwright.runs.report import write
from genwright.training import checkpoint, state_tensors
from genwright.training.engine import device_of
from genwright.training.modules import into_module
from genwright.training.records import read

log = logging.getLogger(__name__)


def load(
    folder: str | Path,
    step: int | None = None,
    weights: str | None = None,
    device: str | None = None,
) -> Run:
    """A trained run. step: which checkpoint (default: the newest whole one). weights: "ema" or
    "raw" (default: ema where there is one). device: "auto" (a GPU where there is one), "cpu" or
    "cuda"; default: the CPU where the recipe says so, else auto. Raises GenwrightError."""
    folder = Path(folder)
    if not (folder / "recipe.yaml").is_file():
        remedy = "give the folder that `genwright train` made, for example runs/code"
        raise GenwrightError(f"{folder} is not a run: it has no recipe.yaml", remedy)
    if device is not None:
        device_of(device, "device")  # refused at once, not when something is drawn
    return Run(folder, step, str(weights) if weights else None, device)


class Run:
    """A run's folder, opened. recipe, codec, model, step, folder; nothing is read before it is
    needed, and of a checkpoint nothing but the weights. The arguments: as of `load`. measures: of a
    person's own, that whoever opened it has named."""

    def __init__(
        self,
        folder: Path,
        step: int | None = None,
        weights: str | None = None,
        device: str | None = None,
    ):
        self.folder = folder
        self._step = step
        self._weights = weights
        self._device = device
        self.measures: Sequence[OwnMeasure] = ()

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, step={self.step})"

    @cached_property
    def weights(self) -> str:
        """Which weights are used: "ema" or "raw"."""
        if self._weights:
            return self._weights
        return "ema" if checkpoint.has(self.checkpoint, "ema") else "raw"

    @property
    def device(self) -> torch.device:
        """Where its networks are, and what they make."""
        on_cpu = self.recipe.training.device == "cpu"
        return device_of(self._device or ("cpu" if on_cpu else "auto"), "device")

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe as the run resolved it, every default spelt out. Raises GenwrightError where
        it cannot be read."""
        return Recipe.load(self.folder / "recipe.yaml")

    @cached_property
    def codec(self) -> Codec:
        """The codec as it was trained or chosen for this run. Raises GenwrightError where its files
        are damaged."""
        settings: CodecSettings = self.recipe.codec
        folder = self.folder / "codec"
        try:
            return settings.load(folder)
        except (ValueError, LookupError, TypeError, AttributeError) as problem:
            raise GenwrightError(  # of a kind that does not say it better
                f"the codec in {folder} is damaged ({in_words(problem)})",
                "bring its files back or train again",
            ) from problem

    @property
    def content(self) -> str:
        """What kind of content it makes, as the registry knows it."""
        return self.codec.content

    @cached_property
    def kind(self) -> Content:
        """Its kind of content."""
        return kind_of(self)

    @cached_property
    def checkpoint(self) -> Path:
        """Folder of the chosen step, else of the run's result: its newest whole checkpoint (damaged
        ones are skipped with a warning), unless that names an earlier one. Raises GenwrightError
        where there is none."""
        root = self.folder / "checkpoints"
        if self._step is None:
            found = checkpoint.result(root, log.warning, only=self._stems)
            if found is not None:
                return found
            raise GenwrightError(
                f"{self.folder} has no checkpoint yet", "train it first, or wait for its first one"
            )
        path = checkpoint.folder_of(root, self._step)
        if not path.is_dir():
            there = ", ".join(map(str, checkpoint.steps(root)))
            raise GenwrightError(
                f"{self.folder} has no checkpoint of step {self._step}", f"there are: {there}"
            )
        return path

    @property
    def _stems(self) -> tuple[str, ...]:
        """Stems of the files of a checkpoint that are read and verified."""
        return ("weights",) if self._weights == "raw" else ("weights", "ema")

    @property
    def step(self) -> int:
        """Updates made at the checkpoint, read from the name of its folder."""
        return int(self.checkpoint.name[5:])

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The chosen weights and buffers, by module and name. What an optimizer needs is neither
        read nor verified. Raises GenwrightError for damaged files."""
        with parameters_named():
            return self._tensors()

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        files = checkpoint.read_tensors(self.checkpoint, self._stems)
        if self.weights == "ema" and "ema" not in files:
            raise GenwrightError(
                f"{self.folder} keeps no averaged weights",
                "leave --weights out, or train with training.ema=0.99",
            )
        named = files["weights"]
        if self.weights == "ema":  # of what is averaged; the rest is as it was trained
            named = named | files["ema"]
        modules = dict.fromkeys(name.partition(".")[0] for name in named)
        return {name: state_tensors.cut(named, f"{name}.") for name in modules}

    @cached_property
    def objective(self) -> Objective:
        """The objective with its trained networks, ready to be used: in fp32, unless it draws in
        the precision of training and that was bf16."""
        built = assemble.objective(self.recipe, assemble.space_of(self.recipe, self.codec))
        device = self.device
        in_bf16 = built.draws_in_training_precision and self.recipe.training.precision == "bf16"
        for name, tensors in self.tensors().items():
            into_module(built.modules[name], tensors, str(self.checkpoint))
            built.modules[name].to(device).eval().requires_grad_(False)
            if in_bf16:
                built.modules[name].to(torch.bfloat16)
        return built

    @property
    def model(self) -> nn.Module:
        """The network called "model". Raises KeyError for objectives that have none of that name (a
        GAN)."""
        model: nn.Module = self.objective.modules["model"]
        return model

    def dataset(self) -> Dataset:
        """The data it was trained on, from the cache or prepared again, once; it must not have
        changed."""
        return self._dataset

    @cached_property
    def _dataset(self) -> Dataset:
        expected = self.environment.get("data", {}).get("digest")
        data = assemble.data_of(self.recipe, self.folder)
        prepared: Dataset = data.prepare(
            assemble.codec_of(self.recipe, self.folder), expect=expected
        )
        return prepared

    @property
    def environment(self) -> dict[str, Any]:
        """What was noted of machine, versions and data at the start; empty where the file is
        missing. Raises GenwrightError where it is no object of JSON."""
        path = self.folder / "environment.json"
        if not path.is_file():
            return {}
        remedy = "put back a copy of it, or delete it: what it said is then not shown"
        facts: Any = read_json(path.read_text(encoding="utf-8"), path, remedy)
        if not isinstance(facts, dict):
            raise GenwrightError(f"{path} is damaged, for it holds no object", remedy)
        return facts

    @property
    def records(self) -> list[dict[str, Any]]:
        """Records of all steps so far, oldest first; empty before the first one. Raises
        GenwrightError for a line that is no JSON."""
        return read(self.folder / "metrics.jsonl")

    def opened(self, **settings: Any) -> Opened:
        """What samples are drawn from. settings: of sampling, in place of the recipe's."""
        return Opened(
            self.objective, self.codec, self.sampling(**settings), self.dataset, str(self.folder)
        )

    def draw(self, options: Options, partial: bool = False) -> Iterator[Event]:
        """Samples as a stream of events, as the options of its kind of content ask for; closing it
        stops the drawing. partial: also what there is of a sample. Raises GenwrightError."""
        return self.kind.sampler.draw(self.opened(), options, partial=partial)

    def sample(
        self,
        prompts: Any = None,
        n: int = 1,
        on_token: Callable[[int, Any], None] | None = None,
        first: int = 0,
        **options: Any,
    ) -> Any:
        """`n` samples (of each prompt, where there are prompts), from sample `first` on, in the
        form that is usual for them: texts, scores, a tensor (n, *shape).

        options: those of `genwright sample` for its kind of content, with _ for -, and settings of
        `sampling` of the recipe. on_token(number, piece) receives what there is of a sample, where
        it is drawn piece by piece. Raises GenwrightError."""
        if n < 1:
            raise GenwrightError(f"n is {n}", "ask for at least one sample")
        if prompts is not None:
            options["prompts"] = prompts
        kind = self.kind
        cls: type[Options] = kind.sampler.options
        known = {*cls.model_fields, *cls.aliases}
        settings = {name: value for name, value in options.items() if name not in known}
        given = {name: value for name, value in options.items() if name in known}
        samples = []
        with parameters_named(cls.parameters(list(given))):
            opened = self.opened(**settings)
            events = kind.sampler.draw(
                opened, kind.sampler_options(**given), n, first, partial=on_token is not None
            )
            for event in events:
                if isinstance(event, Drawn):
                    samples.append(event.sample)
                elif isinstance(event, Partial) and on_token:
                    on_token(event.number, event.piece)
        return kind.sampler.collected(samples)

    def fill(self, text: str, **options: Any) -> Any:
        """What a masked model puts into the gaps of something that has some, as its kind of content
        writes them (a text with [MASK], a file). options: as of `sample`. Raises GenwrightError."""
        return self.sample(fill=text, **options)[0]

    def sampling(self, **settings: Any) -> Settings:
        """The recipe's settings of sampling, some of them changed. Raises GenwrightError for one
        that there is not."""
        changed = {**self.recipe.sampling.model_dump(), **settings}
        found: Settings = build(type(self.recipe.sampling), changed, "sampling")
        return found

    def evaluate(self, *, samples: int | None = None, **options: Any) -> Evaluation:
        """Every figure beside its floors, kept in the run's folder.

        samples: how many are drawn; None: as many as for this checkpoint before, else what takes
        about a minute. options: the others of `genwright evaluate` for its kind of content, with _
        for -. Raises GenwrightError for one that is not for it."""
        given = {"samples": samples, **options}
        asked = {
            name: value for name, value in given.items() if value is not None and value is not False
        }
        with parameters_named(parameters_of("evaluate")):
            check_options("evaluate", asked, self.content, str(self.folder))
            return evaluate(self, self.kind.evaluate_options(**asked))

    def export(self, kind: str, folder: str | Path) -> Path:
        """Writes the model for other programs. kind: a format that its kind of content knows.
        Raises GenwrightError."""
        with parameters_named():
            return self._exported(kind, folder)

    def _exported(self, kind: str, folder: str | Path) -> Path:
        formats: dict[str, Exporter] = {}  # of all kinds of content
        for content in kinds("content").values():
            formats |= content.exporters
        if kind not in formats:
            known = " or ".join(sorted(formats))
            raise GenwrightError(f"--to {kind} is not a known format", f"use --to {known}")
        if kind not in self.kind.exporters:
            raise GenwrightError(
                f"--to {kind} is for {formats[kind].of}, which {self.folder} does not make",
                "use the run's own safetensors",
            )
        target = Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise GenwrightError(f"{target} exists already and is not empty", "name a new folder")
        self.kind.exporters[kind].write(self, target)
        return target

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the run's own page."""
        return report(self.folder, path)


def report(
    folders: str | Path | Run | Sequence[str | Path | Run], path: str | Path | None = None
) -> Path:
    """One self-contained HTML page about one run, or several compared. folders: of runs, or runs
    that are opened. path: default report.html, in the run's folder if it is one."""
    with parameters_named():
        return _reported(folders, path)


def _reported(
    folders: str | Path | Run | Sequence[str | Path | Run], path: str | Path | None
) -> Path:
    several = [folders] if isinstance(folders, (str, Path, Run)) else list(folders)
    runs = [each if isinstance(each, Run) else load(each) for each in several]
    place = runs[0].folder / "report.html" if len(runs) == 1 else Path("report.html")
    return write(runs, Path(path) if path else place)
