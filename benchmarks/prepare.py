r"""Preparing text: MB/s and peak memory of `TextData.prepare` beside `datasets.map` with the same
tokenizer and number of processes.

    python benchmarks/prepare.py --megabytes 1000 [--data rows.jsonl] [--processes 2] \
        [--json result.json]

Both begin with empty caches and end with the tokens on disk. Ours is timed whole (finding, hashing,
checking, splitting, tokenising, flushing to disk); of theirs only `map` counts, without the
conversion of the input to Arrow. Each runs in a process of its own; memory is the largest sum of
resident sizes over that process and its children, so shared pages count several times.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish


def synthesise(path: Path, megabytes: float) -> None:
    """Distinct documents: paragraphs of the standard library in random order, with lines of words
    that occur nowhere else (about 1.5% of all words, more than new text brings), written as jsonl.
    The same on every run of one interpreter."""
    from genwright.contents.text.source_python import library

    blocks = []
    for file in sorted(library()):
        try:
            blocks += Path(file.path).read_text("utf-8").split("\n\n")
        except UnicodeDecodeError:
            continue
    rng, letters, size = random.Random(0), "etaoinshrdlucmfwypvbgkqjxz", 0
    with open(path, "w", encoding="utf-8") as out:
        while size < megabytes * 1e6:
            lines = []
            for block in rng.choices(blocks, k=rng.randint(4, 40)):
                lines.append(block)
                if rng.random() < 0.5:
                    words = ["".join(rng.choices(letters, k=rng.randint(4, 10))) for _ in range(3)]
                    lines.append(
                        f"    {words[0]} = {words[1]}({words[2]}, {rng.randint(0, 99999)})"
                    )
            text = "\n\n".join(lines)
            size += len(text.encode())
            out.write(json.dumps({"text": text}) + "\n")


def ours(data: str, tokenizer: str, processes: int, folder: Path) -> dict:
    from genwright.contents.text.codec import File
    from genwright.contents.text.data import TextData

    settings = TextData(path=data, held_out=0.001, workers=processes, cache=str(folder))
    start = time.perf_counter()
    dataset = settings.prepare(File(path=tokenizer))
    seconds = time.perf_counter() - start
    counts = [dataset.summary[split] for split in ("train", "held_out")]
    documents = sum(count["documents"] for count in counts)
    return {
        "seconds": seconds,
        "bytes": sum(count["bytes"] for count in counts),
        "tokens": sum(c["tokens"] for c in counts) - documents,
    }


def theirs(data: str, tokenizer: str, processes: int, folder: Path) -> dict:
    import datasets
    from tokenizers import Tokenizer

    loaded = datasets.load_dataset("json", data_files=data, split="train", cache_dir=str(folder))
    encoder = Tokenizer.from_file(tokenizer)

    def encode(batch):
        return {
            "input_ids": [
                encoding.ids
                for encoding in encoder.encode_batch_fast(batch["text"], add_special_tokens=False)
            ]
        }

    size = sum(len(text.encode()) for batch in loaded.iter(1000) for text in batch["text"])
    start = time.perf_counter()
    mapped = loaded.map(
        encode, batched=True, num_proc=processes, remove_columns=loaded.column_names
    )
    seconds = time.perf_counter() - start
    tokens = sum(
        sum(map(len, batch["input_ids"])) for batch in mapped.with_format("numpy").iter(1000)
    )
    return {"seconds": seconds, "bytes": size, "tokens": tokens}


def tree_memory(root: int) -> int:
    """Bytes resident in a process and all its descendants."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended between listing and reading
            children.setdefault(int(fields[1]), []).append(int(entry))
            resident[int(entry)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    total, todo = 0, [root]
    while todo:
        process = todo.pop()
        total += resident.get(process, 0)
        todo += children.get(process, [])
    return total


def measure(side: str, arguments: argparse.Namespace, data: str, tokenizer: str) -> dict:
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        command = [
            sys.executable,
            __file__,
            "--side",
            side,
            "--data",
            data,
            "--tokenizer",
            tokenizer,
            "--scratch",
            folder,
        ]
        environment = os.environ | {
            "TOKENIZERS_PARALLELISM": "false",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": folder,
        }
        process = subprocess.Popen(
            [*command, "--processes", str(arguments.processes)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        peak = 0

        def watch() -> None:
            nonlocal peak
            while process.poll() is None:
                peak = max(peak, tree_memory(process.pid))
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        output = process.communicate()[0]
        watcher.join()
        if process.returncode:
            raise SystemExit(f"{side} failed")
        result = json.loads(output.splitlines()[-1])
    return result | {
        "megabytes_per_second": result["bytes"] / 1e6 / result["seconds"],
        "peak_gigabytes": peak / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--megabytes",
        type=float,
        default=1000,
        help="size of the text that is made up, without --data",
    )
    parser.add_argument("--data", help="jsonl with a field 'text'")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--vocabulary", type=int, default=16384)
    parser.add_argument(
        "--tokenizer", help="a tokenizer.json; default: a BPE trained on the first 20 MB"
    )
    parser.add_argument("--scratch", help="folder for data and caches")
    parser.add_argument("--json", help="where the result is kept")
    parser.add_argument("--side", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side = {"ours": ours, "theirs": theirs}[arguments.side]
        print(
            json.dumps(
                side(
                    arguments.data,
                    arguments.tokenizer,
                    arguments.processes,
                    Path(arguments.scratch),
                )
            )
        )
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        data = arguments.data or f"{folder}/rows.jsonl"
        if not arguments.data:
            synthesise(Path(data), arguments.megabytes)
        tokenizer = arguments.tokenizer
        if not tokenizer:
            from genwright.contents.text.codec import BPE

            with open(data, encoding="utf-8") as rows:
                codec = BPE(vocabulary=arguments.vocabulary, sample=20).train(
                    json.loads(row)["text"] for row in rows
                )
            codec.save(folder)
            tokenizer = f"{folder}/tokenizer.json"
        result = {side: measure(side, arguments, data, tokenizer) for side in ("ours", "theirs")}
    if result["ours"]["tokens"] != result["theirs"]["tokens"]:
        raise SystemExit(f"the two sides made different tokens: {result}")
    result["ratio"] = (
        result["ours"]["megabytes_per_second"] / result["theirs"]["megabytes_per_second"]
    )
    for side in ("ours", "theirs"):
        print(
            "{}: {megabytes_per_second:.1f} MB/s, peak memory {peak_gigabytes:.2f} GB".format(
                side, **result[side]
            )
        )
    sys.exit(finish("prepare", result, arguments.json))


if __name__ == "__main__":
    main()
