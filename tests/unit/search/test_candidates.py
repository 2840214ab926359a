"""Which configurations are confirmed."""

from __future__ import annotations

import math

import pandas as pd

from cifar_tune.search.candidates import along_the_front


def test_along_a_front_its_ends_come_first_then_those_far_from_their_neighbours() -> None:
    """Both objectives to be large: five points on a line, one dominated, one not measured."""
    values = pd.DataFrame(
        {"accuracy": [0.9, 0.89, 0.6, 0.3, 0.1, 0.3, 0.99], "smallness": [0.1, 0.11, 0.4, 0.7, 0.9, 0.6, math.nan]},
        index=["best", "near", "middle", "lower", "least", "dominated", "unmeasured"],
    )
    assert along_the_front(values) == ["best", "least", "middle", "lower", "near"]
