"""What an audit says first."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genwright.audit.found import GroupsFound, groups_found
from genwright.audit.placebo import Apart
from genwright.audit.verdict import data_verdicts, run_verdicts
from genwright.core.groups import GroupCounts


def found_of(light: int, dark: int, target: dict[str, float] | None) -> GroupsFound:
    labels = np.repeat([0, 1], [light, dark])
    rows = np.eye(2, dtype=np.int64)[labels]
    return groups_found(
        GroupCounts(("light", "dark"), rows, np.arange(len(rows))),
        grouping="tone",
        how="by hand",
        of="data",
        counted="pictures",
        target=target,
    )


EVEN = {"light": 0.5, "dark": 0.5}


@pytest.mark.parametrize(
    ("light", "away", "shown"),
    [(300, "25.0%", True), (203, "0.7%", False)],  # of 400: half of |.75 - .5| + |.25 - .5|
)
def test_data_are_beside_the_target_and_chance(light: int, away: str, shown: bool) -> None:
    (said,) = data_verdicts([found_of(light, 400 - light, EVEN)])
    assert said.startswith(f"tone, data: {away} are in another group than in the target")
    assert ("more than chance alone gives" in said) == shown
    assert ("no difference is shown" in said) != shown
    # the bound is that of a fair coin thrown 400 times: |heads - 200| / 400 in 95% of cases
    dice = np.random.default_rng(0)
    bound = np.quantile(abs(dice.binomial(400, 0.5, 100_000) - 200) / 400, 0.95)
    printed = float(said.split("up to ")[1].split("%")[0] if not shown else said.split("(")[1][:3])
    assert printed == pytest.approx(100 * bound, abs=0.6)


def test_without_a_target_nothing_is_said_of_data_and_samples_are_beside_data() -> None:
    assert data_verdicts([found_of(300, 100, None)]) == []
    own: Any = SimpleNamespace(
        grouping="tone", samples=found_of(300, 100, None), apart=Apart(0.31, 0.04, 0.09)
    )
    (said,) = run_verdicts([own])
    assert said == (
        "tone, samples: 31.0% are in another group than in the training data, more than chance"
        " alone gives (9.0% at most)"
    )
    own.apart = None
    assert run_verdicts([own]) == []
