"""Which points are better than which where several values count. (n, m) points: a row a trial, higher is better.

One point dominates another if it is nowhere worse and somewhere better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def dominated_by(points: Floats, point: Floats) -> Flags:
    """Returns (n,): which of the points this one dominates."""
    found: Flags = np.all(points <= point, axis=1) & np.any(points < point, axis=1)
    return found


def dominating(points: Floats, point: Floats) -> Flags:
    """Returns (n,): which of the points dominate this one."""
    found: Flags = np.all(points >= point, axis=1) & np.any(points > point, axis=1)
    return found


def non_dominated(points: Floats) -> Flags:
    """Returns (n,): which of the points none of the others dominates. Equal points stay together."""
    found = np.zeros(len(points), dtype=bool)
    front: list[int] = []
    for place in np.lexsort(points.T[::-1])[::-1]:  # a point that dominates another stands before it
        if not dominating(points[front], points[place]).any():
            front.append(int(place))
    found[front] = True
    return found


def fronts(points: Floats) -> NDArray[np.int64]:
    """Returns (n,): the front of each point; 1 is non-dominated, 2 would be without the first, and so on.

    Source: Deb et al. 2002 (doi:10.1109/4235.996017), section III-A.
    """
    found = np.zeros(len(points), dtype=np.int64)
    front = 0
    while (left := np.flatnonzero(found == 0)).size:
        front += 1
        found[left[non_dominated(points[left])]] = front
    return found


def crowding_distances(front: Floats) -> Floats:
    """Returns (n,): how far apart the neighbours of each point are along the front; infinite at its ends.

    Each value counts by its range over the front; equal points share a distance.
    Source: Deb et al. 2002 (doi:10.1109/4235.996017), section III-B.
    """
    distinct, places = np.unique(front, axis=0, return_inverse=True)
    distances = np.zeros(len(distinct))
    for values in distinct.T:
        order = np.argsort(values, kind="stable")
        low, high = values[order[0]], values[order[-1]]
        if low == high:
            continue
        distances[(values == low) | (values == high)] = np.inf
        distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / (high - low)
    found: Floats = distances[places.reshape(-1)]
    return found


def ranks(points: Floats) -> NDArray[np.int64]:
    """Returns (n,): the place of each point, 1 for the best: by front, on a front the less crowded first.

    Points of equal front and distance share a place, as in a race.
    """
    front = fronts(points)
    distances = np.zeros(len(points))
    for number in np.unique(front):
        distances[front == number] = crowding_distances(points[front == number])
    keys = np.column_stack([front, -distances])
    _, places, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    found: NDArray[np.int64] = (np.cumsum(counts) - counts + 1)[places.reshape(-1)]
    return found


def first(points: Floats, most: int) -> list[int]:
    """Returns the places of the best points, as `ranks` has them, no more than `most`; of equal ones the earlier."""
    found: list[int] = []
    left = np.arange(len(points))
    while len(left) and len(found) < most:
        on_front = non_dominated(points[left])
        front = left[on_front]
        found += front[np.argsort(-crowding_distances(points[front]), kind="stable")].tolist()
        left = left[~on_front]
    return found[:most]


def hypervolume(points: Floats, reference: Floats) -> float:
    """Returns the volume that the points dominate above a reference point. Exact, by slices along the last value.

    Its time grows with the size of the front to the power of m - 1.
    """
    inside = points[(points > reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return float(inside.max() - reference[0])
    front = inside[non_dominated(inside)]
    front = front[np.argsort(-front[:, -1], kind="stable")]
    lower = np.append(front[1:, -1], reference[-1])
    depths = front[:, -1] - lower
    return float(
        sum(depth * hypervolume(front[: place + 1, :-1], reference[:-1]) for place, depth in enumerate(depths) if depth)
    )
