"""A trained run, opened from its folder: sample, evaluate, export, report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from genwright.core.errors import GenwrightError
from genwright.core.files import read_json
from genwright.recipe.schema import Recipe, build
from genwright.runs import assemble
from genwright.training import checkpoint
from genwright.training.engine import device_of
from genwright.training.modules import into_module
from genwright.training.records import read
from genwright.training.settings import VISUAL

if TYPE_CHECKING:
    from genwright.models.transformer import Transformer


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
    needed, and of a checkpoint nothing but the weights. The arguments: as of `load`."""

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
        return Recipe.load(self.folder / "recipe.yaml")

    @cached_property
    def codec(self) -> Any:
        return self.recipe.codec.load(self.folder / "codec")

    @property
    def content(self) -> str:
        """What it makes: "text", "music", "image" or "points"."""
        return self.codec.content

    @cached_property
    def checkpoint(self) -> Path:
        root = self.folder / "checkpoints"
        if self._step is None:
            newest = checkpoint.newest(root, log.warning, only=self._stems)
            if newest is not None:
                return newest
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
        return int(self.checkpoint.name[5:])

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The chosen weights and buffers, by module and name. What an optimizer needs is neither
        read nor verified. Raises GenwrightError for damaged files."""
        files = checkpoint.read_tensors(self.checkpoint, self._stems)
        if self.weights == "ema" and "ema" not in files:
            raise GenwrightError(
                f"{self.folder} keeps no averaged weights",
                "leave --weights out, or train with training.ema=0.99",
            )
        named = files["weights"] | (files["ema"] if self.weights == "ema" else {})
        modules = dict.fromkeys(name.partition(".")[0] for name in named)
        return {name: checkpoint.cut(named, f"{name}.") for name in modules}

    @cached_property
    def objective(self) -> Any:
        """The objective with its trained networks, ready to be used: in fp32; a flow that was
        trained in bf16 stays so, for its many steps then take a third of the time."""
        built = assemble.objective(self.recipe, assemble.space_of(self.recipe, self.codec))
        device = self.device
        for name, tensors in self.tensors().items():
            into_module(built.modules[name], tensors, str(self.checkpoint))
            built.modules[name].to(device).eval().requires_grad_(False)
            if self.recipe.training.precision == "bf16" and hasattr(built, "velocity"):
                built.modules[name].to(torch.bfloat16)
        return built

    @property
    def model(self) -> nn.Module:
        return self.objective.modules["model"]

    def dataset(self) -> Any:
        """The data it was trained on, from the cache or prepared again; it must not have
        changed."""
        expected = self.environment.get("data", {}).get("digest")
        data = assemble.data_of(self.recipe, self.folder)
        return data.prepare(assemble.codec_of(self.recipe, self.folder), expect=expected)

    @cached_property
    def eyes(self) -> Any:
        """The feature extractor of its data, of pictures and points."""
        from genwright.evaluation.features import extractor

        return extractor(self.dataset(), getattr(self.recipe.data, "cache", None))

    @property
    def environment(self) -> dict[str, Any]:
        path = self.folder / "environment.json"
        if not path.is_file():
            return {}
        return read_json(
            path.read_text(encoding="utf-8"),
            path,
            "put back a copy of it, or delete it: what it said is then not shown",
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        return read(self.folder / "metrics.jsonl")

    def sample(
        self,
        prompts: str | Sequence[str] = "",
        n: int = 1,
        on_token=None,
        first: int = 0,
        **settings: Any,
    ) -> Any:
        """Text: `n` samples of each prompt (or of one), from sample `first` on. settings: of
        sampling (temperature, top_k, seed, ...), over the recipe's.
        Music: scores; settings: bars=16, condition="key=G", harmonise, ... see `composing.draw`.
        Pictures and points: a tensor (n, *shape); settings: condition="group=food", negative,
        guidance, ... see `pictured.draw`."""
        if self.content == "music":
            from genwright.contents.music.composing import draw as compose

            return compose(self, n, first=first, **settings)
        if self.content in VISUAL:
            from genwright.contents.images.pictured import draw

            return draw(self, n, first=first, **settings)
        from genwright.contents.text.generate import generate_all

        return generate_all(
            self.model,
            self.codec,
            prompts,
            n=n,
            settings=self.sampling(**settings),
            on_piece=on_token,
            start=first,
        )

    def check_prompts(self, prompts: str | Sequence[str]) -> None:
        """Raises GenwrightError where this run cannot continue them: it fills gaps, or its codec
        lacks a character."""
        from genwright.sampling.step import needs_causal

        needs_causal(self.model)
        for prompt in [prompts] if isinstance(prompts, str) else prompts:
            self.codec.encode(prompt)

    def fill(self, text: str, top: int = 5, **settings: Any) -> Any:
        """Fills each [MASK] of a text by its likeliest token, or as `settings` of sampling say
        (temperature, seed, ...); the likeliest candidates of each with their probabilities."""
        from genwright.contents.text.fill import fill

        if not settings.keys() - {"valid_utf8"}:
            settings = {"temperature": 0.0, "repetition_penalty": 1.0} | settings
        return fill(self.model, self.codec, text, top=top, settings=self.sampling(**settings))

    def sampling(self, **settings: Any) -> Any:
        """The recipe's settings of sampling, some of them changed. Raises GenwrightError for one
        that there is not."""
        return build(
            type(self.recipe.sampling),
            {**self.recipe.sampling.model_dump(), **settings},
            "sampling",
        )

    def evaluate(
        self, inception: str | Path | None = None, samples: int | None = None, whole: bool = False
    ) -> Any:
        """Every figure beside its floors. Text and music: on the whole held-out split. Pictures and
        points: on some of it, or on all (`whole`, with 500 importance samples each where
        likelihoods are estimated). samples: how many are drawn; None: as many as for this
        checkpoint before, else what takes about a minute.
        inception: weights for a figure called FID."""
        from genwright.runs.evaluate import evaluate

        if inception is not None and self.content != "image":
            raise GenwrightError(
                "--inception is for pictures, and this run makes none", "leave it out"
            )
        if whole and self.content not in VISUAL:
            raise GenwrightError(
                f"--whole is not for {self.content}", "leave it out: it is always whole"
            )
        if samples and self.content == "text" and not self.recipe.objective.causal:
            raise GenwrightError(
                f"--samples is for what draws samples, and {self.folder} fills gaps", "leave it out"
            )
        return evaluate(self, inception, samples, whole)

    def export(self, kind: str, folder: str | Path) -> Path:
        """Writes the model for other programs. kind: "hf"."""
        if kind != "hf":
            raise GenwrightError(f"--to {kind} is not a known format", "use --to hf")
        if self.content != "text":
            raise GenwrightError(
                f"{self.folder} makes no text, and --to hf is for language models",
                "use the run's own safetensors",
            )
        target = Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise GenwrightError(f"{target} exists already and is not empty", "name a new folder")
        from genwright.models import hf

        hf.export(cast("Transformer", self.model), self.codec.for_others(), target)
        return target

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the run's own page."""
        return report(self.folder, path)


def report(folders: str | Path | Sequence[str | Path], path: str | Path | None = None) -> Path:
    """One self-contained HTML page about one run, or several compared. path: default report.html,
    in the run's folder if it is one."""
    from genwright.runs.evaluate import write

    several = [folders] if isinstance(folders, (str, Path)) else list(folders)
    place = Path(several[0]) / "report.html" if len(several) == 1 else Path("report.html")
    return write([load(f) for f in several], Path(path) if path else place)
