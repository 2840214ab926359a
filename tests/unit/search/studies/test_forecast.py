"""Expected final values, against the definition worked out by hand and by a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.search.studies.forecast import Curve, expected_finals, gains


def curve(*values: float) -> Curve:
    return Curve(list(range(1, len(values) + 1)), list(values))


def test_a_trial_that_ended_is_expected_to_have_what_it_has() -> None:
    assert expected_finals([curve(0.1, 0.5, 0.7), curve(0.2)], 3)[0] == 0.7


def test_an_unfinished_trial_gains_what_a_better_one_gained() -> None:
    finals = expected_finals([curve(0.1, 0.5, 0.7), curve(0.2), curve(0.0, 0.1, 0.1)], 3)
    assert finals[1] == pytest.approx(0.2 + 0.4 + 0.2)


def test_without_anyone_further_along_nothing_is_gained() -> None:
    assert expected_finals([curve(0.1), curve(0.3)], 9).tolist() == [0.1, 0.3]


def test_epochs_without_validation_lie_on_the_straight_line_between() -> None:
    sparse = Curve([2, 4], [0.2, 0.6])
    assert gains([sparse], 4) == pytest.approx([0.0, 0.2, 0.2])


def by_hand(curves: list[list[float]], epochs: int) -> list[float]:
    """The same by a plain loop over epochs and sorted lists."""
    found = []
    for own in curves:
        value = own[-1]
        for epoch in range(len(own), epochs):
            passed = sorted((one for one in curves if len(one) > epoch), key=lambda one: -one[epoch - 1])
            asked = passed[: max(1, round(len(passed) / 3))]
            value += float(np.mean([one[epoch] - one[epoch - 1] for one in asked])) if asked else 0.0
        found.append(value)
    return found


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=8, unique=True), min_size=1, max_size=12))
def test_expected_finals_equal_those_of_a_plain_loop(values: list[list[int]]) -> None:
    spread = [[value + row / 100 for value in column] for row, column in enumerate(values)]
    assert expected_finals([curve(*one) for one in spread], 8) == pytest.approx(by_hand(spread, 8), abs=1e-9)
