r"""Training images/s of two GANs, a VAE, a flow and a VQ autoencoder beside the same networks in a
bare PyTorch loop, in one process.

    python benchmarks/images_speed.py [--steps 30] [--rounds 5] [--batch 32] \
        [--families emoji-vq ...] [--out FILE]

The bare loop is what a person would write: pictures in memory, `torch.randint` and `torch.randn`,
the loss in a few lines, fused AdamW, an average of the weights where the recipe has one. No checks,
no records. Ours is the loop that `genwright train` runs, records written; evaluation and
checkpoints are left out of both, and so is what the bare loop has not: adaptive augmentation,
clipping (but for the flow) and Muon, in place of which both use AdamW; both compute in fp32. A
round has `--steps` steps, of ring-gan ten times as many. Ratio: median over rounds of (bare seconds
/ our seconds); above 1 we are faster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from common import finish
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.records import Records


def optimizers(modules, recipe: Recipe) -> dict:
    o = recipe.training.optimizer
    return {
        n: torch.optim.AdamW(m.parameters(), o.learning_rate, o.betas, o.eps, 0.0, fused=True)
        for n, m in modules.items()
    }


class Average:
    """An exponential moving average of a module's weights."""

    def __init__(self, module, decay: float | None):
        self.live, self.decay = list(module.parameters()), decay
        self.kept = [p.detach().clone() for p in self.live]

    def move(self) -> None:
        if self.decay:
            torch._foreach_lerp_(self.kept, [p.detach() for p in self.live], 1 - self.decay)


def bare_gan(objective, recipe: Recipe, x, c, size: int) -> Callable[[int], None]:
    g, d = objective.modules["generator"], objective.modules["discriminator"]
    opt, average, s = (
        optimizers(objective.modules, recipe),
        Average(g, recipe.training.ema),
        recipe.objective,
    )

    def step(k: int) -> None:
        rows = torch.randint(len(x), (size,))
        real, wanted = x[rows], None if c is None else c[rows] * (torch.rand(size, 1) > s.drop)
        for p in g.parameters():
            p.requires_grad_(False)
        for p in d.parameters():
            p.requires_grad_(True)
        fake = g(torch.randn(size, s.latent), wanted)
        penalised = k % s.penalty_every == 0
        both = torch.cat([real, fake]).requires_grad_(penalised)
        scores = d(both, None if wanted is None else torch.cat([wanted, wanted]))
        loss = F.softplus(scores[size:] - scores[:size]).mean()
        if penalised:
            (slope,) = torch.autograd.grad(scores.sum(), both, create_graph=True)
            square = slope.square().flatten(1).sum(1)
            loss = loss + s.penalty_every / 2 * (s.r1 * square[:size] + s.r2 * square[size:]).mean()
        opt["discriminator"].zero_grad()
        loss.backward()
        opt["discriminator"].step()
        for p in g.parameters():
            p.requires_grad_(True)
        for p in d.parameters():
            p.requires_grad_(False)
        with torch.no_grad():
            of_real = d(real, wanted)
        loss = F.softplus(of_real - d(g(torch.randn(size, s.latent), wanted), wanted)).mean()
        opt["generator"].zero_grad()
        loss.backward()
        opt["generator"].step()
        average.move()

    return step


def bare_flow(objective, recipe: Recipe, x, c, size: int) -> Callable[[int], None]:
    model = objective.modules["model"]
    opt, average = (
        optimizers(objective.modules, recipe)["model"],
        Average(model, recipe.training.ema),
    )

    def step(k: int) -> None:
        rows = torch.randint(len(x), (size,))
        target, t = x[rows], torch.rand(size)
        noise, wanted = (
            torch.randn_like(target),
            c[rows] * (torch.rand(size, 1) > recipe.objective.drop),
        )
        v = model(torch.lerp(noise, target, t[:, None, None, None]), time=t, condition=wanted)
        opt.zero_grad()
        (v - (target - noise)).square().mean().backward()
        if recipe.training.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.training.clip, foreach=True)
        opt.step()
        average.move()

    return step


def bare_vae(objective, recipe: Recipe, x, c, size: int) -> Callable[[int], None]:
    (name,) = objective.modules
    model = objective.modules[name]
    opt, average = optimizers(objective.modules, recipe)[name], Average(model, recipe.training.ema)

    def step(k: int) -> None:
        rows = torch.randint(len(x), (size,))
        target, wanted = x[rows], c[rows] * (torch.rand(size, 1) > recipe.objective.drop)
        out = model(target, wanted, noise=torch.randn(size, 1, *objective.latent))
        loss = -objective.log_likelihood(out.parameters, target)[
            :, 0
        ] + recipe.objective.beta * out.kl.sum(1)
        opt.zero_grad()
        loss.mean().backward()
        opt.step()
        average.move()

    return step


def bare_vq(objective, recipe: Recipe, x, c, size: int) -> Callable[[int], None]:
    model, s = objective.modules["model"], recipe.objective
    opt, b = optimizers(objective.modules, recipe)["model"], model.bottleneck

    def step(k: int) -> None:
        target = x[torch.randint(len(x), (size,))]
        z = b.bound(model.encoder(target).flatten(2).mT)
        codes = b.nearest(z.detach())
        vectors = b.vectors(codes)
        made = model.decode(z + (vectors - z).detach())
        opt.zero_grad()
        (F.mse_loss(made, target) + s.commitment * F.mse_loss(z, vectors)).backward()
        opt.step()
        with torch.no_grad():
            flat, counts = z.flatten(0, 1), torch.bincount(codes.flatten(), minlength=b.size)
            sums = torch.zeros(b.size, z.shape[2]).index_add_(0, codes.flatten(), flat)
            b.learn(counts, sums, flat[torch.randint(len(flat), (b.size,))], s.decay, s.restart)

    return step


BARE = {
    "emoji-gan": bare_gan,
    "ring-gan": bare_gan,
    "emoji-flow": bare_flow,
    "emoji-vae": bare_vae,
    "emoji-vq": bare_vq,
}


# whose steps take a few milliseconds: a round of so few would measure how the loop begins
TIMES_AS_MANY = {"ring-gan": 10}


def compare(name: str, a: argparse.Namespace, folder: Path) -> dict:
    words = {"training.batch_size": a.batch, "training.steps": 10**6, "training.precision": "fp32"}
    words |= {"objective.augment": False} if name == "emoji-gan" else {}
    words |= {
        "training.optimizer.kind": "adamw",
        "training.clip": None if "flow" not in name else 1.0,
    }
    recipe = Recipe.load(name, words)
    dataset = recipe.data.prepare(recipe.codec)
    space = assemble.space_of(recipe, dataset.codec)
    recipe = assemble.resolve(recipe, space)
    engine = Engine("cpu")
    ours, theirs = assemble.objective(recipe, space), assemble.objective(recipe, space)
    train = dataset.split("train")
    everything = torch.arange(len(train)).numpy()
    bare = BARE[name](theirs, recipe, train.x(everything), train.condition(everything), a.batch)
    stream = dataset.stream(a.batch, recipe.seed)
    state = loop.start(ours, recipe.training, engine)
    log = Records(folder / f"{name}.jsonl")
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    done = 0
    steps = a.steps * TIMES_AS_MANY.get(name, 1)
    for round_ in range(a.rounds + 1):
        began = time.perf_counter()
        loop.run(
            ours,
            stream,
            state,
            state.step + steps,
            settings=recipe.training,
            engine=engine,
            hooks=[log],
        )
        middle = time.perf_counter()
        for _ in range(steps):
            bare(done)
            done += 1
        if round_:  # the first pays for kernels being chosen
            times["ours"].append(middle - began)
            times["bare"].append(time.perf_counter() - middle)
    speed = {who: steps * a.batch / statistics.median(found) for who, found in times.items()}
    ratio = statistics.median(b / o for o, b in zip(times["ours"], times["bare"], strict=True))
    return {"ratio": ratio, "our images/s": speed["ours"], "bare images/s": speed["bare"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--families", nargs="+", choices=BARE, default=list(BARE))
    parser.add_argument("--out")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: compare(name, a, Path(folder)) for name in a.families}
    sys.exit(finish("images_speed", figures, a.out))


if __name__ == "__main__":
    main()
