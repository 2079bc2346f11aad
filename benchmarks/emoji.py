"""What a trained emoji run draws when it is asked for a group or a skin tone, recognised by a
classifier that was trained on real drawings.

    genwright train emoji-flow
    python benchmarks/emoji.py --run runs/emoji-flow [--bar 0.8] [--out FILE]

The figures are those of `genwright evaluate`: samples are asked for what held-out drawings are;
`recognised` is the share that is named rightly, beside its accuracy on those held-out drawings and
the most frequent value; coverage beside real drawings and independent pixels; the memorising share
beside that of held-out drawings. A sheet by group and tone, for a person, is written beside the
result.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


import genwright
from common import finish
from genwright.contents.images.gallery import gallery

WANTED = ("recognised group", "recognised tone", "coverage", "memorised")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--bar", type=float, default=0.8, help="of the accuracy on real drawings")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sheets", type=Path, help="a folder for the pictures of the report")
    parser.add_argument("--out")
    a = parser.parse_args()
    run = genwright.load(a.run)
    found = [f for f in run.evaluate(samples=a.samples).figures if f.name.startswith(WANTED)]
    figures: dict = {
        "step": run.step,
        "minutes": sum(r.get("seconds", 0) for r in run.records if "rate" in r) / 60,
    }
    for f in found:
        figures[f.name] = {
            "value": f.value,
            "floors": dict(f.floors),
            "ceilings": dict(f.ceilings),
            "count": f.count,
        }
        if f.name.startswith("recognised"):
            figures[f.name]["share of real accuracy"] = f.value / f.ceilings["real"]
    if a.sheets:
        a.sheets.mkdir(parents=True, exist_ok=True)
        for picture in gallery(run):
            (a.sheets / f"{picture.title.lower().replace(' ', '-')}.png").write_bytes(picture.png)
    bounds = {"recognised, share of real accuracy": a.bar}
    sys.exit(finish("emoji", figures, a.out, bounds))


if __name__ == "__main__":
    main()
