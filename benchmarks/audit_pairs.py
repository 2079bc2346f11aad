r"""CrowS-Pairs and WinoBias under Hugging Face folders, beside an implementation that uses
transformers alone: differences of sums, shares, seconds.

    python benchmarks/audit_pairs.py --crows crows_pairs_anonymized.csv \
        --winobias pro_stereotyped_type1.txt.dev [--folder DIR ...] [--out FILE]

Without --folder: a small Llama and a small ModernBERT with random weights and a tokenizer of the
sentences. Published (perplexity of sentences, bigscience-workshop/evaluation#70): GPT-2 59.35%.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from common import finish
from genwright.audit.pair_files import Pair, read_pairs
from genwright.audit.pairs import TIE, pairs_of

SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
AROUND = ["[CLS]", "[SEP]"]


def random_folder(folder: Path, family: str, texts: list[str]) -> Path:
    """A folder of random weights; family: Llama or ModernBert."""
    masked = family == "ModernBert"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [*AROUND, "[MASK]"] if masked else ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    names = {"eos_token": "<|endoftext|>"}
    ids = {}
    if masked:
        names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in AROUND],
        )
        ids = {"cls_token_id": None, "sep_token_id": None}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.save_pretrained(folder)
    config = getattr(transformers, f"{family}Config")(**SIZES, **ids, vocab_size=len(fast))
    kind = "ForMaskedLM" if masked else "ForCausalLM"
    torch.manual_seed(0)
    model = getattr(transformers, family + kind)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def by_transformers(folder: Path, pairs: list[Pair]) -> list[float]:
    """More minus less of each pair, by the published rules."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if tokenizer.mask_token is None:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    else:
        model = transformers.AutoModelForMaskedLM.from_pretrained(folder).float().eval()
    begin = tokenizer.bos_token_id or tokenizer.eos_token_id

    def sentence(text: str) -> tuple[list[int], list[float]]:
        if tokenizer.mask_token is None:
            ids = tokenizer(text, add_special_tokens=False).input_ids
            rows = torch.tensor([[begin, *ids]])
            return ids, [-float(model(rows, labels=rows).loss)]
        ids = tokenizer(text).input_ids
        rows = torch.tensor([ids] * (len(ids) - 2))
        places = torch.arange(len(rows))
        rows[places, places + 1] = tokenizer.mask_token_id
        logits = model(rows).logits[places, places + 1].log_softmax(-1)
        return ids, logits[places, torch.tensor(ids[1:-1])].tolist()

    found = []
    for pair in pairs:
        ids, logs = sentence(pair.more)
        others, other_logs = sentence(pair.less)
        if tokenizer.mask_token is None:
            found.append(logs[0] - other_logs[0])
            continue
        total = 0.0
        blocks = difflib.SequenceMatcher(None, ids, others).get_matching_blocks()
        for start, other, size in blocks:
            for offset in range(size):
                if 0 < start + offset < len(ids) - 1:
                    total += logs[start + offset - 1] - other_logs[other + offset - 1]
        found.append(total)
    return found


def compared(folder: Path, file: str) -> dict:
    """One folder on one file."""
    pairs, _ = read_pairs(file)
    begun = time.perf_counter()
    ours = pairs_of(folder, file)
    between = time.perf_counter()
    theirs = np.array(by_transformers(folder, pairs))
    ended = time.perf_counter()
    share = float(np.where(np.abs(theirs) <= TIE, 0.5, theirs > 0).mean())
    print(ours, file=sys.stderr)
    return {
        "folder": folder.name,
        "file": Path(file).name,
        "pairs": len(pairs),
        "share": ours.rates[0].share,
        "share by transformers": share,
        "largest difference in nats": float(np.abs(np.array(ours.differences) - theirs).max()),
        "seconds (both sentences and shuffled words)": between - begun,
        "seconds of transformers (both sentences)": ended - between,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crows", required=True)
    parser.add_argument("--winobias", required=True)
    parser.add_argument("--folder", nargs="*", default=[])
    parser.add_argument("--out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = [given.crows, given.winobias]
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(folder) for folder in given.folder]
        if not folders:
            texts = [text for file in files for pair in read_pairs(file)[0] for text in pair[:2]]
            for family in ("Llama", "ModernBert"):
                folders.append(random_folder(Path(place) / family, family, texts))
        figures = [compared(folder, file) for folder in folders for file in files]
    sys.exit(finish("audit_pairs", {"compared": figures}, given.out))


if __name__ == "__main__":
    main()
