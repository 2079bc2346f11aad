"""Parity: the largest absolute differences from transformers' four classes, on tiny random weights,
in fp32.

    python benchmarks/parity.py [--batches 5] [--out FILE]

For every case of tests/models/hf_pairs.py (grouped heads, tied and untied, sliding windows, no
softcap): logits; mean loss; gradients of the loss; logits beside padding (right, and for causal
models left); logits of packed documents against each document alone in transformers; logits of the
exported folder as AutoModel loads it; and whether importing that gives the same bits. Fails where a
difference is over 1e-5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "models"))

import torch
import torch.nn.functional as F
from hf_pairs import CASES, VOCABULARY, both
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
from transformers.utils import logging

from common import finish
from genwright.models import hf
from genwright.models.hf_format import FORMATS
from genwright.models.transformer import Transformer

ROWS, TIME, DOCUMENTS = 4, 48, [11, 1, 29, 7]


def distance(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def gradients(theirs: nn.Module, ours: Transformer) -> float:
    """After both were differentiated: the largest difference over all parameters, matched by the
    table of names."""
    found = {n: p.grad for n, p in theirs.named_parameters()}
    rows = FORMATS[type(theirs).__name__].rows(ours.settings.depth)
    return max(
        distance(torch.cat([ours.get_parameter(n).grad for n in own]), found[name])
        for name, own in rows
        if name in found
    )


def padded(theirs: nn.Module, ours: Transformer, tokens: Tensor) -> float:
    worst = 0.0
    for left in (False, True) if ours.settings.causal else (False,):
        lengths = torch.arange(1, TIME + 1, TIME // ROWS)[:ROWS, None]
        place = torch.arange(TIME).flip(0) if left else torch.arange(TIME)
        real = place < lengths
        worst = max(
            worst,
            distance(
                ours(tokens, padding=real)[real],
                theirs(tokens, attention_mask=real.long()).logits[real],
            ),
        )
    return worst


def packed(theirs: nn.Module, ours: Transformer, tokens: Tensor) -> float:
    documents = torch.repeat_interleave(
        torch.arange(len(DOCUMENTS)), torch.tensor(DOCUMENTS)
    ).expand(ROWS, -1)
    together = ours(tokens, documents=documents).split(DOCUMENTS, 1)
    return max(
        distance(a, theirs(part).logits)
        for a, part in zip(together, tokens.split(DOCUMENTS, 1), strict=True)
    )


def compare(case: str, batches: int, folder: Path) -> dict[str, float | bool]:
    theirs, ours = both(case, folder / "theirs")
    hf.export(ours, None, folder / "ours")
    loaded = (
        (AutoModelForCausalLM if ours.settings.causal else AutoModelForMaskedLM)
        .from_pretrained(folder / "ours")
        .eval()
    )
    _, again = hf.load(folder / "ours")
    worst: dict[str, float] = {}
    for seed in range(batches):
        generator = torch.Generator().manual_seed(seed)
        x, y = (torch.randint(VOCABULARY, (ROWS, TIME), generator=generator) for _ in range(2))
        y[torch.rand(y.shape, generator=generator) < 0.3] = -100
        theirs.zero_grad()
        ours.zero_grad()
        logits = theirs(x).logits
        reference = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        loss = ours(x, y).sum() / (y != -100).sum()
        reference.backward()
        loss.backward()
        with torch.no_grad():
            found = {
                "logits": distance(ours(x), logits),
                "loss": distance(loss, reference),
                "gradients": gradients(theirs, ours),
                "padded": padded(theirs, ours, x),
                "packed": packed(theirs, ours, x),
                "exported": distance(loaded(x).logits, ours(x)),
            }
        worst = {name: max(value, worst.get(name, 0.0)) for name, value in found.items()}
    same = set(again) == set(ours.state_dict()) and all(
        torch.equal(t, again[n]) for n, t in ours.state_dict().items()
    )
    return worst | {"imported bit-equal": same}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=5, help="random batches a case")
    parser.add_argument("--out", help="file that keeps the JSON")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    figures = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            figures[case] = compare(case, arguments.batches, Path(folder))
        if len(figures) == 1:
            print(f"{'largest difference':18s}" + "".join(f"{name:>20s}" for name in figures[case]))
        cells = (str(v) if isinstance(v, bool) else f"{v:.1e}" for v in figures[case].values())
        print(f"{case:18s}" + "".join(f"{cell:>20s}" for cell in cells), flush=True)
    sys.exit(finish("parity", {"cases": figures}, arguments.out))


if __name__ == "__main__":
    main()
