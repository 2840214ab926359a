"""Asynchronous successive halving where several objectives count: a rung ranks by non-dominated front.

Source: MO-ASHA, Schmucker et al. 2021 (arXiv:2106.12639, section 4): fronts first, and inside a front those that are
far from the others. How far, is measured here by the crowding distance of Deb et al. 2002 (doi:10.1109/4235.996017,
section III-B), which does not depend on the order of the trials as a greedy selection would.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

import numpy as np

from cifar_tune.config.schedulers import Asha
from cifar_tune.pareto import Floats, crowding_distances, dominated_by, dominating
from cifar_tune.search.schedulers.asha import AshaStopping, Rungs, places
from cifar_tune.search.schedulers.decision import Decision


class Fronts:
    """Points by front, kept up to date point by point; higher is better."""

    def __init__(self) -> None:
        self._fronts: list[Floats] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, point: Floats) -> tuple[int, int]:
        """Takes in a point; returns its front, 1 for the first, and its place among all points, as `ranks` would."""
        number = bisect_left(self._fronts, True, key=lambda front: not dominating(front, point).any())
        self._insert(point[None], number)
        self._size += 1
        front = self._fronts[number]
        distances = crowding_distances(front)
        own = distances[(front == point).all(axis=1)][0]
        before = sum(map(len, self._fronts[:number])) + int((distances > own).sum())
        return number + 1, before + 1

    def _insert(self, points: Floats, number: int) -> None:
        """Puts points on a front; what they dominate there moves to the next, and so on."""
        while len(points):
            if number == len(self._fronts):
                self._fronts.append(points)
                return
            front = self._fronts[number]
            moved = np.any([dominated_by(front, point) for point in points], axis=0)
            self._fronts[number] = np.vstack([front[~moved], points])
            points, number = front[moved], number + 1


class ParetoRungs(Rungs):
    """The rungs of one bracket. Of equal trials none is preferred."""

    def __init__(
        self, levels: Sequence[int], factor: int, epochs: int, signs: Sequence[int], bracket: int | None
    ) -> None:
        super().__init__(levels, factor, epochs, signs[0], bracket)
        self._signs = np.array(signs, dtype=float)
        self._fronts = {level: Fronts() for level in levels}

    def _decide(self, rung: int, value: float, *others: float) -> Decision:
        fronts = self._fronts[rung]
        front, rank = fronts.add(self._signs * (value, *others))
        goes_on = rank <= places(len(fronts), self._factor)
        action: Literal["continue", "stop"] = "continue" if goes_on else "stop"
        return Decision(action, rung, len(fronts), rank, None, self._bracket, front)


class ParetoAsha(AshaStopping):
    """ASHA, brackets and all, on rungs that rank by front."""

    def __init__(self, config: Asha, epochs: int, signs: Sequence[int], seed: int) -> None:
        """signs: of each objective 1 where a higher value is better, -1 where a lower one is."""
        self._signs = signs
        super().__init__(config, epochs, signs[0], seed)

    def _new_rungs(self, levels: Sequence[int], factor: int, epochs: int, bracket: int | None) -> Rungs:
        return ParetoRungs(levels, factor, epochs, self._signs, bracket)
