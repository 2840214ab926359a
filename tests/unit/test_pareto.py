"""Fronts, crowding and hypervolume against their definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cifar_tune.pareto import crowding_distances, first, fronts, hypervolume, non_dominated, ranks

Point = tuple[float, ...]


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def front_of(point: Point, points: Sequence[Point]) -> int:
    """The length of the longest chain of points of which each dominates the next and the last is this one."""
    return 1 + max((front_of(other, points) for other in points if dominates(other, point)), default=0)


def crowding_of(point: Point, front: Sequence[Point]) -> float:
    distance = 0.0
    for k in range(len(point)):
        values = [other[k] for other in front]
        if min(values) == max(values):
            continue
        if point[k] in (min(values), max(values)):
            return math.inf
        distance += (values_above(values, point[k]) - values_below(values, point[k])) / (max(values) - min(values))
    return distance


def values_above(values: Sequence[float], value: float) -> float:
    return min(other for other in values if other > value)


def values_below(values: Sequence[float], value: float) -> float:
    return max(other for other in values if other < value)


def points_of(values: st.SearchStrategy[float], m: int, most: int = 14) -> st.SearchStrategy[NDArray[np.float64]]:
    return st.lists(st.tuples(*[values] * m), min_size=1, max_size=most).map(lambda rows: np.array(rows, dtype=float))


few = st.integers(0, 4).map(float)
many = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))
clouds = st.one_of(*[points_of(values, m) for values in (few, many) for m in (1, 2, 3)])


@settings(deadline=None)
@given(clouds)
def test_the_front_of_a_point_is_the_longest_chain_of_points_that_dominate_each_other_down_to_it(
    cloud: NDArray[np.float64],
) -> None:
    rows = [tuple(row) for row in cloud.tolist()]
    assert fronts(cloud).tolist() == [front_of(row, rows) for row in rows]
    assert non_dominated(cloud).tolist() == [not any(dominates(other, row) for other in rows) for row in rows]


@settings(deadline=None)
@given(st.lists(st.tuples(many, many), min_size=1, max_size=14, unique_by=(lambda row: row[0], lambda row: row[1])))
def test_the_crowding_distance_is_the_gap_between_a_points_neighbours(rows: list[Point]) -> None:
    found = crowding_distances(np.array(rows))
    assert found.tolist() == pytest.approx([crowding_of(row, rows) for row in rows])


@settings(deadline=None)
@given(points_of(few, 2))
def test_equal_points_share_a_crowding_distance_whatever_their_order(cloud: NDArray[np.float64]) -> None:
    found = crowding_distances(cloud)
    assert crowding_distances(cloud[::-1])[::-1].tolist() == found.tolist()
    for a, b in itertools.combinations(range(len(cloud)), 2):
        assert found[a] == found[b] or (cloud[a] != cloud[b]).any()


@settings(deadline=None, max_examples=60)
@given(st.one_of(points_of(few, 1, 8), points_of(few, 2, 8), points_of(few, 3, 8), points_of(few, 4, 6)))
def test_the_hypervolume_counts_every_cell_of_the_grid_that_some_point_dominates(cloud: NDArray[np.float64]) -> None:
    cells = itertools.product(range(4), repeat=cloud.shape[1])
    corners = [np.array(cell) + 1 for cell in cells]
    expected = sum(bool((cloud >= corner).all(axis=1).any()) for corner in corners)
    assert hypervolume(cloud, np.zeros(cloud.shape[1])) == expected


@settings(deadline=None)
@given(points_of(few, 2), st.integers(1, 6))
def test_the_first_points_are_those_of_the_best_ranks(cloud: NDArray[np.float64], most: int) -> None:
    found = ranks(cloud)
    expected = sorted(range(len(cloud)), key=lambda place: (found[place], place))[:most]
    assert sorted(first(cloud, most), key=lambda place: (found[place], place)) == expected


def test_points_beyond_the_reference_add_nothing_to_the_hypervolume() -> None:
    assert hypervolume(np.array([[5.0, 0.0], [1.0, 1.0]]), np.array([0.0, 0.5])) == 0.5
