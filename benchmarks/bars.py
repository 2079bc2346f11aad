"""The bar of every benchmark: what its figures have to reach, as docs/lab-log.md states it.

BARS: name of a result -> its bars. REPORTED: name of a result that has none -> why. A benchmark
with several kinds of results names each ("music, drift").
"""

from __future__ import annotations

from judging import Bar, Figures, Value, count, off_by, place, places, ratio, worst

MEASURED = "held-out music"


def coverage(name: str, *keys: str) -> list[Bar]:
    """A share of intervals that hold, which should be 95%."""
    return [
        Bar(f"{name}, at least", keys, at_least=0.92),
        Bar(f"{name}, at most", keys, at_most=0.98),
    ]


def clearly_outside(figures: Figures) -> Value:
    """Of corrected shares: settings whose coverage so many sets tell from 92 to 98%."""
    errors = [2 * (bound * (1 - bound) / figures["sets"]) ** 0.5 for bound in (0.92, 0.98)]
    outside = 0
    for each in [*figures["settings"], *figures["among"]]:
        low = each["coverage, least"] < 0.92 - errors[0]
        high = each["coverage, most"] > 0.98 + errors[1]
        outside += low or high
    return outside


def least_that_hold(figures: Figures) -> Value:
    """Of distances, with two standard errors of a share of .9 of so many sets."""
    error = 2 * (0.9 * 0.1 / figures["sets"]) ** 0.5
    return figures["held, least"] + error


def shares_apart(figures: Figures) -> Value:
    compared = figures["compared"]
    return worst((abs(each["share"] - each["share by transformers"]) for each in compared), max)


def not_equal(name: str) -> Bar:
    """Runs that were killed and did not end as they should."""

    def found(figures: Figures) -> Value:
        trials = [each for each in figures.values() if isinstance(each, dict) and "runs" in each]
        if "runs" in figures:
            trials = [figures]
        if not trials:
            return None
        equal = [each.get("bit-equal", each.get("byte-equal")) for each in trials]
        return sum(each["runs"] for each in trials) - sum(equal)

    return Bar(name, found, at_most=0)


def below_real(figures: Figures) -> Value:
    """Accuracy that is lost by training on samples in place of real digits."""
    taught = "accuracy when trained on"
    return figures["real"][taught] - figures["10 Euler steps"][taught]


def damaged(figures: Figures) -> Value:
    return figures["damaged, refused in a sentence"] + figures["damaged, and read"]


def rows(figures: Figures) -> Value:
    return sum(figures["inputs"].get(kind, 0) for kind in ("whole", "damaged", "quotes", "noise"))


def changes_off(kind: str) -> Bar:
    """Note changes of samples beside those of held-out music."""

    def found(figures: Figures) -> Value:
        changes = figures[kind]["note changes"]
        return abs(changes["value"] / changes[MEASURED] - 1) if changes.get(MEASURED) else None

    return Bar(f"note changes beside real music, {kind}", found, at_most=0.1)


def larger_difference_of_plain(figures: Figures) -> Value:
    """One Euler step of a plain flow, beside the closed form."""
    plain = place(figures, "independent: one Euler step", "mean")
    exact = figures["closed form: all at the mean"]["mean"]
    return None if plain is None else abs(plain / exact - 1)


def speed_beside_trl(what: str, bound: float) -> Bar:
    """By processor seconds where there is one thread, else by the clock."""

    def found(figures: Figures) -> Value:
        clock = "processor seconds" if figures["shape"]["threads"] == 1 else "seconds"
        return place(figures, clock, what, "ratio")

    return Bar(f"{what}: times as fast as TRL", found, at_least=bound)


def unexplained(figures: Figures) -> Value:
    return sum(not each["why"] for each in figures["differ"].values())


def noticed(figures: Figures) -> Value:
    """The least share of runs of a bad proxy that is noticed in time."""
    found = figures["bad proxies"].values()
    return worst((each["noticed in time"] / each["runs"] for each in found), min)


def beside(name: str, pattern: str, **bound: float) -> Bar:
    """A figure of rewarded pictures over what it is compared with."""

    def found(figures: Figures) -> Value:
        each = place(figures, "bars", pattern)
        return each["value"] / each["compared with"] if each["compared with"] else None

    return Bar(name, found, **bound)


def beside_real(name: str, figure: str) -> Bar:
    """A figure of samples after rewards, beside that of real music."""

    def found(figures: Figures) -> Value:
        real = figures["sets"][MEASURED][figure]["value"]
        after = figures["sets"]["after"][figure]["value"]
        return abs(after / max(real, 1e-12) - 1)

    return Bar(name, found, at_most=0.1)


def nearer(name: str, figure: str) -> Bar:
    """By how much a figure came nearer to real music."""

    def found(figures: Figures) -> Value:
        sets = figures["sets"]
        real = sets[MEASURED][figure]["value"]
        before = abs(sets["before"][figure]["value"] - real)
        return before > abs(sets["after"][figure]["value"] - real)

    return Bar(name, found, equal=True)


def not_lower(figures: Figures) -> Value:
    """The least that pass@16 gained; None where a seed has none."""
    gained: list[Value] = []
    for after, before in zip(
        places(figures, ("seed *", "after")), places(figures, ("seed *", "before")), strict=True
    ):
        now = after.get("pass@16")
        then = before.get("pass@16")
        gained.append(None if now is None or then is None else now - then)
    return worst(gained, min)


ABOVE_COMMONEST = "right, above the commonest group"

BARS: dict[str, list[Bar]] = {
    "audit_corrected": [
        Bar("settings outside 92 to 98% by more than two errors", clearly_outside, at_most=0),
        Bar("planted shift warned of", ("planted shift warned of, least",), at_least=0.95),
        Bar("false alarms", ("false alarms, mean",), at_most=0.03),
    ],
    "audit_coverage": [
        *coverage("mean coverage", "*", "mean coverage"),
        Bar(
            "settings outside 92 to 98% by more than two errors",
            ("*", "clearly outside"),
            at_most=0,
        ),
        Bar("width beside the exact one's", ("*", "of the exact width, mean"), at_most=1.2),
        *coverage("ratios", "ratios", "*", "coverage"),
    ],
    "audit_distances": [
        Bar("intervals that hold, with two standard errors", least_that_hold, at_least=0.9),
        Bar("above `most` at the target", ("above most at the target, mean",), at_most=0.07),
    ],
    "audit_emoji": [
        Bar("distance to the target, reduced by", ("*", "distance, reduced by"), at_least=0.5),
        Bar(
            "coverage lost beside the control",
            ("*", "coverage, lost beside the control"),
            at_most=0.02,
        ),
        Bar(
            "asked in turn: distance reduced by",
            ("*", "asked in turn, distance reduced by"),
            at_least=0.5,
        ),
        Bar(
            "asked in turn: coverage lost",
            ("*", "asked in turn, coverage lost"),
            at_most=0.02,
        ),
    ],
    "audit_judges": [
        *coverage("coverage", "*", "coverage"),
        Bar(ABOVE_COMMONEST, ("*", ABOVE_COMMONEST), at_least=0.05),
    ],
    "audit_loop": [
        Bar("lean, taken away", ("taken away", "*", "lean", "mean"), at_least=0.5),
        Bar("overall, taken away", ("taken away", "*", "overall", "mean"), at_least=0.5),
        Bar("likely, taken away", ("taken away", "*", "likely", "mean"), at_least=0.5),
        Bar(
            "loss on other tokens, risen by",
            ("price", "*", "loss on other tokens", "mean"),
            at_most=0.02,
        ),
        Bar(
            "loss on weighted texts, risen by",
            ("price", "*", "loss on weighted texts", "mean"),
            at_most=0,
        ),
    ],
    "audit_pairs": [
        Bar("shares apart from transformers'", shares_apart, at_most=1e-9),
        Bar("sums apart, nats", ("compared", "*", "largest difference in nats"), at_most=1e-4),
    ],
    "audit_speed": [Bar("seconds of an audit", ("*", "second, seconds"), at_most=60)],
    "before_after": [Bar("seconds now / before", ("*", "ratio"), at_most=1.03)],
    "corpus_again": [
        Bar("share of a fresh build", ("share of a fresh build",), at_most=0.05),
        Bar("equal byte for byte", ("equal byte for byte",), equal=True),
    ],
    "corpus_kill": [
        not_equal("killed builds that differ"),
        Bar("two builds are equal", ("two builds are equal",), equal=True),
    ],
    "coverage": [
        Bar(f"{name}, off the published", off_by(("off", name)), at_most=0.01)
        for name in ("precision", "recall", "density", "coverage")
    ],
    "demo": [
        Bar("seconds of the slowest try", ("slowest, seconds",), at_most=180),
        Bar("bits above the long run", ("bits above the long run",), at_most=0.05),
    ],
    "digits_flow": [Bar("accuracy below that of real digits", below_real, at_most=0.02)],
    "earlier_runs": [Bar("commands with another answer", count(("different",)), at_most=0)],
    "emoji": [
        Bar("recognised, share of real accuracy", ("*", "share of real accuracy"), at_least=0.8)
    ],
    "exact": [
        Bar("packed - separate, nats", off_by(("packed - separate, nats",)), at_most=1e-5),
        Bar("the same where attention is not cut", ("the same, attention not cut",), at_least=0.1),
        Bar(
            "gradients by micro-batch",
            ("largest gradient difference by micro-batch", "*"),
            at_most=1e-5,
        ),
        Bar(
            "masking, standard deviations", off_by(("masking, standard deviations", "*")), at_most=4
        ),
    ],
    "families": [
        Bar("stopped and resumed, equal", ("*", "mid-*"), equal=True),
        Bar("two processes differ by", ("*", "two processes differ by"), at_most=1e-5),
        not_equal("killed runs that differ"),
    ],
    "filters_speed": [
        Bar("documents/s, all rules", ("rates", "all", "documents/s"), at_least=2000)
    ],
    "fixed_costs": [
        Bar("seconds of a run of one step", ("one step", "seconds", "median"), at_most=3.0),
        Bar("seconds of a sample", ("sample", "seconds", "median"), at_most=1.6),
        Bar("seconds of --help", ("help", "seconds", "median"), at_most=0.15),
    ],
    "flat_memory": [Bar("memory beside the smallest size", ("ratios", "*", "*"), at_most=1.1)],
    "fuzz_abc": [
        Bar("whole tunes", ("whole tunes, read as they were made",), at_least=5000),
        Bar("damaged tunes", damaged, at_least=5000),
    ],
    "fuzz_music": [Bar("examples of each kind", ("*", "examples"), at_least=10_000)],
    "fuzz_pictures": [
        Bar(
            "whole pictures",
            ("whole, with the pixels of the independent computation",),
            at_least=5000,
        ),
        Bar("damaged pictures", damaged, at_least=5000),
    ],
    "fuzz_rows": [Bar("inputs", rows, at_least=10_000)],
    "generate": [
        Bar(
            "batch 1: times as fast as transformers",
            ("tokens per second", "*, batch 1", "ratio"),
            at_least=4,
        ),
        Bar(
            "batch 16: times as fast as transformers",
            ("tokens per second", "*, batch 16", "ratio"),
            at_least=3,
        ),
    ],
    "headlines": [Bar("largest difference of a figure", ("largest difference",), at_most=1e-4)],
    "images_speed": [
        Bar(f"{recipe}: share of a bare loop's speed", (recipe, "ratio"), at_least=0.97)
        for recipe in ("emoji-gan", "ring-gan", "emoji-flow", "emoji-vae", "emoji-vq")
    ],
    "kill": [not_equal("killed runs that differ")],
    "likelihood": [
        Bar("nats of test pictures after 20 minutes or more", ("NLL, nats",), at_most=86.8)
    ],
    "mixtures": [
        Bar("every mode in every seed", ("*", "every mode in every seed"), equal=True),
        Bar("high quality", ("*", "mean", "high quality"), at_least=0.95),
        Bar("ring: reverse KL", ("ring", "mean", "reverse KL"), at_most=0.01),
        Bar("grid: reverse KL", ("grid", "mean", "reverse KL"), at_most=0.02),
    ],
    "music, corpus": [
        Bar("cold, seconds", ("cold, seconds",), at_most=20),
        Bar("cached, seconds", ("cached, seconds",), at_most=1),
        Bar("pieces that do not come back", count(("pieces that do not come back",)), at_most=0),
    ],
    "music, likelihood": [Bar("nats a token, held out", ("nats a token",), at_most=0.43)],
    "music, melodies": [
        Bar(
            "statistics beyond the real band",
            ("beyond the real band, of its larger end", "*"),
            at_most=0.25,
        )
    ],
    "music, parallels": [
        Bar(
            "parallels in 64 frames, free",
            ("free", "parallel fifths, octaves and unisons", "value"),
            at_most=0.5,
        ),
        Bar(
            "parallels in 64 frames, under the rules",
            ("under the rules", "parallel fifths, octaves and unisons", "value"),
            at_most=0,
        ),
        changes_off("free"),
        changes_off("under the rules"),
    ],
    "music, speed": [Bar("seconds of 16 pieces with all files", ("seconds",), at_most=20)],
    "near_copies": [
        Bar("GB a core-hour", ("engines", "ours", "GB_per_core_hour"), at_least=40),
        Bar("planted pairs", ("engines", "ours", "pairs"), at_least=400),
        Bar("lower bound of recall", ("engines", "ours", "recall_lower"), at_least=0.95),
        Bar("precision", ("engines", "ours", "precision"), at_least=1),
        Bar(
            "speed beside the fastest rival's of equal recall",
            ("share_of_rival", "*-flat"),
            at_least=0.8,
        ),
        Bar(
            "peak memory / what is allowed",
            ratio(("memory", "peak_MB"), ("memory", "allowed_MB")),
            at_most=1,
        ),
        Bar("same pairs in little memory", ("memory", "same"), equal=True),
    ],
    "nll_speed": [
        Bar(
            "fp32: times as fast as pythae",
            ("ratios: same batch; own block and bf16 to pythae's faster", "1"),
            at_least=3,
        ),
        Bar("nats apart from pythae", ("largest difference of nll",), at_most=0.05),
    ],
    "overhead": [
        Bar("share of a step of 10 ms", ("share at 10 ms steps",), at_most=0.03),
    ],
    "parity": [
        *[
            Bar(name, ("cases", "*", name), at_most=1e-5)
            for name in ("logits", "loss", "gradients", "padded", "packed", "exported")
        ],
        Bar("imported bit-equal", ("cases", "*", "imported bit-equal"), equal=True),
    ],
    "personal_data": [
        Bar("recall", ("recall", "share"), at_least=0.98),
        Bar("precision", ("precision", "share"), at_least=0.95),
        Bar("MB/s", ("mb_per_second_sources",), at_least=5),
    ],
    "policy_losses": [
        Bar("GRPO, Dr. GRPO, DAPO: apart from TRL", ("of the barred ones",), at_most=1e-6)
    ],
    "policy_speed": [speed_beside_trl("generation", 3), speed_beside_trl("step", 1.8)],
    "prepare": [
        Bar("times as fast as datasets.map", ("ratio",), at_least=1.5),
        Bar("peak memory, GB", ("ours", "peak_gigabytes"), at_most=1.5),
    ],
    "ranks": [Bar("a step of one process over one of two", ("ratio", "median"), at_least=0.9)],
    "read_abc": [Bar("tunes as abc2midi reads them", ("*", "share"), at_least=0.999)],
    "read_chorales": [
        Bar("seconds", ("seconds",), at_most=20),
        Bar("chorales that differ from music21's", count(("differ",)), at_most=0),
    ],
    "read_scores": [Bar("files that differ for no known reason", unexplained, at_most=0)],
    "removed_by_group": [Bar("intervals that hold the ratio", ("*", "ratio"), at_least=0.92)],
    "rewards_gaming": [
        Bar("bad proxies noticed in time", noticed, at_least=0.9),
        Bar("honest runs", ("honest runs",), at_least=30),
        Bar("false alarms", ("false alarms",), at_most=1),
    ],
    "rewards_images": [
        beside("first term beside best of 8", "*, at least best of 8", at_least=1),
        beside("recognised beside before", "judge: *, at least 95% of before", at_least=0.95),
        beside("distinct-4 beside before", "distinct-4, *", at_least=0.95),
        beside("held-out nats beside before", "held-out nats, *", at_most=1.03),
    ],
    "rewards_music harmony": [
        Bar(
            "parallels in 64 frames",
            ("sets", "after", "parallels, per 64 frames", "value"),
            at_most=0.1,
        ),
        Bar("nats of real music, risen by", ("nats", "*", "rise"), at_most=0.03),
        Bar(
            "distinct-4 beside before",
            ratio(("distinct-4", "pair", "after"), ("distinct-4", "pair", "before")),
            at_least=0.95,
        ),
        beside_real("note changes off real ones", "note changes, share"),
        beside_real("rests off real ones", "rests, share"),
        nearer("authentic cadences nearer to real", "authentic cadences, share of fermatas"),
    ],
    "rewards_music phrases": [
        nearer("phrase repetition nearer to real", "phrase repetition"),
        Bar("all statistics kept", ("statistics", "*", "kept"), equal=True),
    ],
    "rewards_text arithmetic": [
        Bar("pass@1 before", ("seed *", "before", "pass@1"), at_most=0.4),
        Bar("pass@1 after", ("seed *", "after", "pass@1"), at_least=0.9),
        Bar("pass@16, gained", not_lower, at_least=0),
    ],
    "rooms": [Bar("tests that pass without a room", ("*", "passed"), at_least=1)],
    "shakespeare": [
        Bar("loss of every seed", ("short", "*", "loss"), at_most=1.8857),
        Bar("times as fast as the plain loop", ("times as fast as plain",), at_least=6),
        Bar("times as fast as nanoGPT", ("times as fast as nanoGPT",), at_least=6),
        Bar("median loss at the plain loop's time", ("long, loss", "median"), at_most=1.6),
    ],
    "stacked": [  # on a GPU; on a CPU as far as an hour gets
        Bar("modes", ("modes",), at_least=1000),
        Bar("reverse KL", ("reverse KL",), at_most=0.08),
    ],
    "trainer": [
        Bar("fp32: times as fast as Trainer", ("fp32", "genwright / *"), at_least=1.15),
        Bar("bf16: times as fast as Trainer", ("bf16", "genwright / *"), at_least=1.5),
    ],
    "transport": [
        Bar("plain, off the closed form", larger_difference_of_plain, at_most=0.05),
        Bar(
            "optimal transport: distance in one step",
            ("optimal-transport: one Euler step", "mean"),
            at_most=0.072,
        ),
    ],
    "utilisation": [Bar("model FLOP utilisation", ("utilisation",), at_least=0.45)],
    "voice_leading": [
        Bar("figures not as published", count(("not as published",)), at_most=0),
    ],
}

REPORTED: dict[str, str] = {
    "earlier_runs, make": "makes runs for a later version to read; measures nothing",
    "music, drift": "shows where parallels come from; no bar was set",
    "music, harmonise": "stands beside its floors; no bar was set",
    "recipe_times": "says what recipes take on a machine; no bar was set",
    "personal_data, hits": "a list of hits that a person reads and judges",
    "rewards_text code": "stands beside floor and ceiling; no bar was set",
    "shakespeare, tuning": "chooses the number of steps that `shakespeare` is held to",
}
