"""Axes: values in order, ranges in bins, each trial in one place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.analysis.heatmaps.axis import UNSET, make_axis


def test_values_stand_in_order_each_trial_at_its_own() -> None:
    axis = make_axis(pd.Series([64, 16, 64, 32], name="trial.batch_size"))
    assert axis.values == (16, 32, 64)
    assert axis.places.tolist() == [2, 0, 2, 1]
    assert axis.labels == ("16", "32", "64")
    assert axis.name == "batch_size"
    assert axis.numeric


def test_words_stand_in_alphabetical_order_and_missing_values_last() -> None:
    axis = make_axis(pd.Series(["relu", None, "mish"], name="trial.activation", dtype="category"))
    assert axis.values == ("mish", "relu", UNSET)
    assert axis.places.tolist() == [1, 2, 0]


def test_truth_values_and_whole_numbers_with_gaps_are_values() -> None:
    assert make_axis(pd.Series([True, False, None], name="x", dtype="boolean")).values == (False, True, UNSET)
    assert make_axis(pd.Series([4, None, 2], name="x", dtype="Int64")).values == (2, 4, UNSET)


def test_a_range_searched_in_the_logarithm_is_binned_in_it() -> None:
    axis = make_axis(pd.Series(10 ** np.linspace(-3, 0, 25), name="trial.lr"))
    assert axis.log
    assert len(axis.values) == 5
    edges = [axis.values[0].left, *(value.right for value in axis.values)]
    assert edges == [0.001, 0.004, 0.016, 0.063, 0.25, 1.0]
    assert axis.labels[0] == "0.001–0.004"
    assert np.bincount(axis.places).tolist() == [5] * 5


def test_a_range_searched_evenly_is_binned_evenly() -> None:
    axis = make_axis(pd.Series(np.linspace(0.0, 1.0, 17), name="x"), bins=4)
    assert not axis.log
    assert [value.left for value in axis.values] == [0.0, 0.25, 0.5, 0.75]
    assert axis.places[-1] == 3


def test_many_whole_numbers_are_binned_and_few_different_floats_are_not() -> None:
    assert len(make_axis(pd.Series(range(100), name="x")).values) == 8
    assert make_axis(pd.Series([0.1, 0.2, 0.3] * 5, name="x")).values == (0.1, 0.2, 0.3)


def test_a_binned_parameter_that_some_trials_do_not_have_keeps_a_place_for_them() -> None:
    axis = make_axis(pd.Series([*np.linspace(1, 2, 20), np.nan], name="x"))
    assert axis.values[-1] == UNSET
    assert axis.places[-1] == len(axis.values) - 1


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.floats(1e-9, 1e-3), min_size=1, max_size=60),
    bins=st.none() | st.integers(1, 9),
)
def test_every_number_lies_in_its_bin(values: list[float], bins: int | None) -> None:
    axis = make_axis(pd.Series(values, name="x"), bins=bins)
    for value, place in zip(values, axis.places, strict=True):
        there = axis.values[place]
        if isinstance(there, pd.Interval):
            last = place == len(axis.values) - 1
            assert there.left <= value <= there.right if last else there.left <= value < there.right
        else:
            assert there == pytest.approx(value)
