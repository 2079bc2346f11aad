r"""Generating: tokens/s of `generate_tokens` beside transformers' `generate`, the same weights,
greedy, the same tokens out.

    python benchmarks/generate.py [--preset nanochat] [--depth 4 --width 128 --heads 4] \
        [--vocabulary 65 4096] [--batch 1 16] [--tokens 200] [--prompt 16] [--threads 2] \
        [--repeats 7] [--json result.json]

A model with random weights is exported, and transformers loads the export. The two take turns; each
figure is the median of its repeats, whole calls: reading the prompt, preparing weights and choosing
tokens included; neither returns log-probabilities. The run fails where a token differs, but for
ties, which it counts. Both are given `--threads`; ours takes one where the work of a step is small.
`--threads 1` times processor seconds, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from common import finish
from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.models.hf import export
from genwright.models.presets import TransformerSettings
from genwright.models.transformer import Transformer
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding


def build(arguments: argparse.Namespace, vocabulary: int) -> Transformer:
    """Random weights of the size that training gives them, nothing zero, so that every part has its
    say in each token."""
    torch.manual_seed(0)
    settings = TransformerSettings(
        preset=arguments.preset, depth=arguments.depth, width=arguments.width, heads=arguments.heads
    )
    model = settings.build(Space(vocabulary=vocabulary), arguments.prompt + arguments.tokens)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data.normal_(0, 1 / math.sqrt(parameter.shape[1]))
    return model.eval()


def compare(
    model: Transformer, peer: torch.nn.Module, batch: int, arguments: argparse.Namespace
) -> dict:
    prompt = torch.randint(
        model.vocabulary, (batch, arguments.prompt), generator=torch.Generator().manual_seed(1)
    )
    real, greedy = torch.ones_like(prompt), Decoding(max_tokens=arguments.tokens, temperature=0)
    draws = Draws(0, 0, torch.arange(batch))
    sides = {
        "genwright": lambda: (
            generate_tokens(model, prompt, None, greedy, draws, logprobs=False).tokens
        ),
        "transformers": lambda: peer.generate(
            prompt,
            attention_mask=real,
            max_new_tokens=arguments.tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
            eos_token_id=None,
        )[:, arguments.prompt :],
    }
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    drawn = {}
    for repeat in range(arguments.repeats + 1):
        for name, side in sides.items():
            start = clock()
            drawn[name] = side()
            if repeat:  # the first warms up
                seconds[name].append(clock() - start)
    ties = check(peer, prompt, *drawn.values())
    rate = {
        name: round(batch * arguments.tokens / statistics.median(times))
        for name, times in seconds.items()
    }
    return rate | {
        "ratio": round(statistics.median(b / a for a, b in zip(*seconds.values(), strict=True)), 2),
        "ties": ties,
    }


@torch.no_grad()
def check(
    peer: torch.nn.Module, prompt: torch.Tensor, ours: torch.Tensor, theirs: torch.Tensor
) -> int:
    """How many rows part at a tie: where the logits of the two tokens, by transformers, are closer
    than float32 tells apart (1e-5)."""
    parted = (ours != theirs).any(1).nonzero()[:, 0].tolist()
    for row in parted:
        place = int((ours[row] != theirs[row]).nonzero()[0])
        logits = peer(torch.cat((prompt[row], theirs[row, :place]))[None]).logits[0, -1]
        if logits[theirs[row, place]] - logits[ours[row, place]] > 1e-5:
            raise SystemExit(f"row {row} differs from token {place} on")
    return len(parted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=["nanochat", "llama", "qwen3"], default="nanochat")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[65, 4096])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--prompt", type=int, default=16, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=200, help="new tokens of each row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", help="where the result is kept")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    figures = {}
    for vocabulary in arguments.vocabulary:
        model = build(arguments, vocabulary)
        with tempfile.TemporaryDirectory() as folder:
            export(model, None, Path(folder))
            peer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        for batch in arguments.batch:
            result = figures[f"vocabulary {vocabulary}, batch {batch}"] = compare(
                model, peer, batch, arguments
            )
            print(
                f"vocabulary {vocabulary:6}  batch {batch:3}  "
                + "  ".join(f"{k} {v}" for k, v in result.items()),
                flush=True,
            )
    shape = {
        key: getattr(arguments, key)
        for key in ("preset", "depth", "width", "heads", "prompt", "tokens", "threads", "repeats")
    }
    sys.exit(finish("generate", {"tokens per second": figures, "shape": shape}, arguments.json))


if __name__ == "__main__":
    main()
