"""What a sampler is shown of the past where several objectives count: each trial by all its expected final values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from cifar_tune.config.objective import LEARNT, Objective
from cifar_tune.pareto import Floats, first
from cifar_tune.search.studies.forecast import Curve, expected_finals
from cifar_tune.search.studies.observations import BEST_SHARE, WRECKED, Observation, TrialHistory


class ParetoTrialHistory(TrialHistory):
    """A study's observations, of which those on the first fronts are remembered longest."""

    def __init__(
        self, epochs: int, most: int, objectives: Sequence[Objective], order: Iterator[int] | None = None
    ) -> None:
        super().__init__(epochs, most, order)
        self._objectives = objectives
        self._ended: dict[int, list[int]] = defaultdict(list)
        self._ranked = True

    def _rank(self, place: int) -> None:
        self._ended[self[place].curve.epochs[-1]].append(place)
        self._ranked = False

    def _remembered(self) -> list[int]:
        if not self._ranked:
            self._best = [(0, 0.0, -place) for place in self._foremost(max(1, round(self._most * BEST_SHARE)))]
            self._ranked = True
        return super()._remembered()

    def _foremost(self, most: int) -> list[int]:
        """The places of those that came furthest, of these the first fronts; in whatever order they have ended."""
        found: list[int] = []
        for epoch in sorted(self._ended, reverse=True):
            places = sorted(self._ended[epoch])
            points = np.array([[curve.values[-1] for curve in self[one].curves] for one in places])
            found += [places[one] for one in first(points, most - len(found))]
            if len(found) == most:
                break
        return found

    def _finals(self, chosen: Sequence[Observation], completed_only: bool) -> list[tuple[float, ...] | None]:
        """Returns what each trial is expected to end at; a wrecked one has the worst of each objective."""
        hidden = (*WRECKED, "running") if completed_only else WRECKED
        judged = [one for one in chosen if one.curve.values and one.state not in hidden]
        if not judged:
            return [None] * len(chosen)
        table = np.column_stack(
            [
                final_values(objective, [one.curves[place] for one in judged], self._epochs)
                for place, objective in enumerate(self._objectives)
            ]
        )
        worst = tuple(table.min(axis=0).tolist())
        rows = {id(one): tuple(row) for one, row in zip(judged, table.tolist(), strict=True)}
        return [worst if one.state in WRECKED else rows.get(id(one)) for one in chosen]


def final_values(objective: Objective, curves: Sequence[Curve], epochs: int) -> Floats:
    """Returns what each trial is expected to have after its last epoch.

    What is learnt, by the chain ladder; seconds, in proportion to the epochs; the size of the network, as it is.
    """
    if objective.metric in LEARNT:
        return expected_finals(curves, epochs)
    last: Floats = np.array([curve.values[-1] for curve in curves])
    if objective.metric == "train_seconds":
        last *= epochs / np.array([curve.epochs[-1] for curve in curves])
    return last
