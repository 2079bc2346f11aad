r"""Likelihood estimation against pythae's `VAE.get_nll`: the same network and weights, importance
samples and batch.

    python -m venv PY && PY/bin/pip install torch pythae
    python benchmarks/nll_speed.py --data mnist.npz --rival PY/bin/python [--pictures 200] \
        [--samples 500] [--out FILE]

The network (784-512-512-50-512-512-784) is trained briefly first, so that the weights are not
noise. pythae is timed with its batch of 100 samples of one picture, and with all samples of a
picture at once; ours with the same 100, with its own block, and in bf16 (weights rounded,
likelihood and latents in fp32, weights of samples in fp64). What bounds it: the decoder's
multiplications, 2 x 0.69 M a sample, whose share of this machine's own rate for such products in
fp32 is printed; after those the passes over logits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from torch import nn

OURS = (
    ("fp32, block 100", 100, torch.float32),
    ("fp32, block 2000", 2000, torch.float32),
    ("bf16, block 2000", 2000, torch.bfloat16),
)
SIZES = ([784, 512, 512, 100], [50, 512, 512, 784])


def rival(folder: Path, samples: int, threads: int) -> None:
    """In pythae's interpreter: prints {batch: [nll, seconds]}."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    torch.set_num_threads(threads)
    weights = np.load(folder / "weights.npz", allow_pickle=False)

    def layers(name: str, sizes: list[int]) -> nn.Sequential:
        out = nn.Sequential()
        for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
            layer = nn.Linear(a, b)
            layer.weight.data, layer.bias.data = (
                torch.from_numpy(weights[f"{name}.layers.{i}.{part}"])
                for part in ("weight", "bias")
            )
            out.extend([nn.SiLU(), layer] if i else [layer])
        return out

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net = layers("encoder", SIZES[0])

        def forward(self, x):
            mean, raw = self.net(x.flatten(1)).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=10 * torch.tanh(raw / 5))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = layers("decoder", SIZES[1])

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z).sigmoid().view(-1, 1, 28, 28))

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=50, reconstruction_loss="bce")
    model, x, found = (
        VAE(config, Encoder(), Decoder()).eval(),
        torch.from_numpy(np.load(folder / "x.npy", allow_pickle=False)),
        {},
    )
    with torch.no_grad():
        for batch in (100, samples):
            model.get_nll(x[:5], samples, batch)
            began = time.perf_counter()
            nll = -float(model.get_nll(x, samples, batch))
            found[batch] = [nll, time.perf_counter() - began]
    print(json.dumps(found, allow_nan=False))


def product_rate() -> float:
    """Multiplications and additions a second of this machine in the decoder's largest product."""
    a, b = torch.rand(2000, 512), torch.rand(512, 784)
    a @ b
    began = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2 * 2000 * 512 * 784 / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--rival",
        help="the interpreter of an environment with pythae; without it ours alone is timed",
    )
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=0.5, help="of training first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    a = parser.parse_args()
    from common import finish
    from genwright.core.draws import Draws
    from genwright.evaluation.likelihood import estimate
    from genwright.objectives.likelihoods import binarised
    from likelihood import pictures, train

    torch.set_num_threads(a.threads)
    x, y = pictures(a.data)
    objective, *_ = train(
        x, "mlp-vae", a.minutes, {}, {"samples": 1}, {}, 0, time.perf_counter, "fp32"
    )
    test = binarised(y[: a.pictures], Draws(20, 0, torch.arange(a.pictures)))
    figures: dict = {}
    weights = {n: p.detach().clone() for n, p in objective.network.state_dict().items()}
    with tempfile.TemporaryDirectory() as work:
        np.savez(
            Path(work) / "weights.npz",
            **{n: p.numpy() for n, p in objective.network.state_dict().items()},
        )
        np.save(Path(work) / "x.npy", test.numpy())
        command = [a.rival, __file__, "--as-rival", work, str(a.samples), str(a.threads)]
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(a.rounds):  # in turns
            for name, batch, dtype in OURS:
                objective.network.to(dtype)
                estimate(objective, lambda i, j: {"x": test[i:j]}, 5, a.samples, block=batch)
                began = time.perf_counter()
                e = estimate(
                    objective, lambda i, j: {"x": test[i:j]}, len(test), a.samples, block=batch
                )
                found.setdefault(f"genwright, {name}", []).append(
                    (float(e.nll.mean()), time.perf_counter() - began)
                )
            objective.network.float().load_state_dict(weights)
            if not a.rival:
                continue
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            for batch, pair in json.loads(done.stdout.splitlines()[-1]).items():
                found.setdefault(f"pythae, batch {batch}", []).append(tuple(pair))
    for name, pairs in found.items():
        seconds = statistics.median(spent for _, spent in pairs)
        figures[name] = {"nll": round(pairs[0][0], 3), "images/s": round(len(test) / seconds, 2)}
    ours, other = (
        [f for n, f in figures.items() if n.startswith(who)] for who in ("genwright", "pythae")
    )
    if other:
        fastest = max(f["images/s"] for f in other)
        bases = (other[0]["images/s"], fastest, fastest)
        ratios = [round(f["images/s"] / base, 2) for f, base in zip(ours, bases, strict=True)]
        figures["ratios: same batch; own block and bf16 to pythae's faster"] = ratios
        figures["largest difference of nll"] = round(
            max(abs(f["nll"] - other[0]["nll"]) for f in ours), 3
        )
    flop = 2 * sum(a * b for a, b in zip(SIZES[1], SIZES[1][1:], strict=False)) * a.samples
    figures["decoder's products, share of their own rate"] = round(
        ours[1]["images/s"] * flop / product_rate(), 2
    )
    figures |= {"pictures": a.pictures, "importance samples": a.samples}
    sys.exit(finish("nll_speed", figures, a.out))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-rival"]:
        rival(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
