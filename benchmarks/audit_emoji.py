"""Whether two ways of mitigation bring the samples of an emoji run nearer to equal shares, and what
they cost: asking for the values in turn, and a balance in training.

    python benchmarks/audit_emoji.py --recipe emoji-gan [--steps 2500] [--more 1000]
        [--rounds 1] [--samples 3000] [--groups tone] [--run RUN] [--folder runs/audit] [--out FILE]

1. A run of the recipe is audited: shares of tones among its unconditional samples, target uniform.
   It is audited again with samples that are asked for all tones in turn, judged as the others.
   With --rounds 0 that is all.
2. From its weights two runs go on for as long: one as it was (control), one whose data are balanced
   by what the audit found (a tone that samples show too seldom is taken more often). With --rounds
   the balanced run is audited again, its balance corrected, and so on.
3. All are audited with the same seed, judge and number of samples.

Bars: the distance (total variation) to the target, which is larger than what chance gives, is
halved beside the run before; coverage at equal n, the mean over tones that both show often enough,
is not worse by more than 2 points: than before where nothing was trained, than the control's else.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import genwright
from common import finish
from genwright.audit.found import plain
from genwright.audit.run import RunAudit, audit_run
from genwright.audit.targets import UNIFORM
from genwright.contents.images import known
from genwright.core.errors import GenwrightError

LARGEST = 3.0  # by which a round takes a tone more, or less, often


def audited(folder: Path, groups: list[str], samples: int, evenly: str = "") -> RunAudit:
    found, _ = audit_run(folder, groups, UNIFORM, samples, 0, evenly=evenly)
    return found


def said(figures: dict) -> dict:
    """figures, which a person may read already."""
    print(json.dumps(figures, indent=1, default=str), file=sys.stderr, flush=True)
    return figures


def figures_of(audit: RunAudit) -> dict:
    out = {}
    for found in audit.groups:
        distances = found.samples.distances
        covered = [row.coverage for row in found.quality]
        out[found.grouping] = {
            "shares": {share.group: round(share.share, 4) for share in found.samples.shares},
            "says nothing": round(found.samples.silent / audit.samples, 4),
            "in the data": {share.group: round(share.share, 4) for share in found.data.shares},
            "distance": plain(distances.tv) if distances is not None else None,
            "coverage": round(sum(covered) / len(covered), 4) if covered else None,
            "coverage, of each": {row.group: round(row.coverage, 4) for row in found.quality},
            "equal n": found.quality[0].equal if found.quality else 0,
            "warnings": found.warnings,
        }
    out["loss"] = audit.loss
    return out


def balance_by(audit: RunAudit, name: str, before: dict[str, float] | None) -> dict[str, float]:
    """Shares of training data that make up for what samples lack; a group that is not told in
    samples keeps its share. before: those that the audited run was trained on; None: as they are,
    about equal."""
    found = next(each for each in audit.groups if each.grouping == name)
    told = {share.group: share.share for share in found.samples.shares}
    in_data = {share.group: share.share for share in found.data.shares}
    kept = {group: share for group, share in in_data.items() if group not in told}
    target = 1 / len(told)
    wanted = {}
    for group, share in told.items():
        factor = target / max(share, 1e-6)
        own = target if before is None else before[group]
        wanted[group] = own * min(LARGEST, max(1 / LARGEST, factor))
    left = 1 - sum(kept.values())
    total = sum(wanted.values())
    shares = {group: round(left * share / total, 6) for group, share in wanted.items()}
    return shares | {group: round(share, 6) for group, share in kept.items()}


def trained(recipe: str, folder: Path, steps: int, start: Path | None, more: dict) -> Path:
    if not (folder / "checkpoints").is_dir():
        settings = {
            "training.steps": steps,
            "training.evaluate_every": 0,
            "training.checkpoint_every": 0,
            "watching.samples": 0,
        }
        begin = None if start is None else str(start)
        genwright.train(recipe, run=folder, start=begin, quiet=True, **(settings | more))
    return folder


def measured(a: argparse.Namespace, own: dict) -> dict:
    before = a.run or trained(a.recipe, a.folder / "before", a.steps, None, own)
    first = audited(before, a.groups, a.samples)
    figures: dict = {"recipe": a.recipe, "samples": a.samples, "before": said(figures_of(first))}
    in_turn = audited(before, a.groups, a.samples, ",".join(a.groups))
    figures["asked in turn"] = said(figures_of(in_turn))
    for name in a.groups:
        was, now = (figures[key][name] for key in ("before", "asked in turn"))
        figures[name] = {
            "asked in turn, distance reduced by": reduced(was, now),
            "asked in turn, coverage lost": coverage_lost(was, now),
        }
    if not a.rounds:
        return figures
    control = trained(a.recipe, a.folder / "control", a.more * a.rounds, before, own)
    figures["control"] = said(figures_of(audited(control, a.groups, a.samples)))
    shares: dict[str, dict[str, float] | None] = dict.fromkeys(a.groups)
    last, audit = before, first
    for number in range(a.rounds):
        shares = {name: balance_by(audit, name, shares[name]) for name in a.groups}
        balance = {f"data.balance.{name}": own_shares for name, own_shares in shares.items()}
        last = trained(a.recipe, a.folder / f"balanced-{number}", a.more, last, own | balance)
        audit = audited(last, a.groups, a.samples)
        figures["balanced"] = figures_of(audit)
        figures[f"round {number}"] = said({"balance": shares, **figures["balanced"]})
    for name in a.groups:
        was, now = (figures[key][name] for key in ("before", "balanced"))
        figures[name]["distance, reduced by"] = reduced(was, now)
        lost = coverage_lost(figures["control"][name], now)
        figures[name]["coverage, lost beside the control"] = lost
    return figures


def coverage_lost(was: dict, now: dict) -> float | None:
    """By how much the mean over groups is lower, over those that both have samples enough of."""
    before, after = was["coverage, of each"], now["coverage, of each"]
    both = [group for group in before if group in after]
    if not both:
        return None
    lost = sum(before[group] - after[group] for group in both) / len(both)
    return round(lost, 4)


def reduced(was: dict, now: dict) -> float | None:
    """The share of the distance that is gone; None where chance alone gives as much as there was,
    and where no sample says anything."""
    before, after = was["distance"], now["distance"]
    if before is None or after is None or before["value"] <= before["most"]:
        return None
    return round(1 - after["value"] / before["value"], 4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="emoji-gan")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--more", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1, help="of balancing; 0: none is trained")
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--groups", nargs="+", default=["tone"])
    parser.add_argument("--run", type=Path, help="a run to begin with, in place of training one")
    parser.add_argument("--set", nargs="*", default=[], help="settings of all runs, key=value")
    parser.add_argument("--folder", type=Path, default=Path("runs/audit-emoji"))
    parser.add_argument("--seen", type=int, help="pictures that a judge learns from")
    parser.add_argument("--out")
    a = parser.parse_args()
    own = {}
    for word in a.set:
        key, _, value = word.partition("=")
        try:
            own[key] = json.loads(value)
        except json.JSONDecodeError:
            own[key] = value
    if a.seen:
        known.LEAST = known.MOST = a.seen
    try:
        figures = measured(a, own)
    except GenwrightError as problem:  # a judge at chance
        figures = {"refused": str(problem)}
    sys.exit(finish("audit_emoji", figures, a.out))


if __name__ == "__main__":
    main()
