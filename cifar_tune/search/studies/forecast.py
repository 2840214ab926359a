"""What unfinished trials may be expected to end at, judged by those that are further along.

Chain ladder, as insurers extrapolate claims (Mack 1993, doi:10.2143/AST.23.2.2005092), in its additive form: from each
epoch to the next, a trial is expected to gain what trials gained there before it. Only the better ones are asked, for a
trial worth extrapolating is one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ASKED_SHARE = 1 / 3
"""Of the trials that passed an epoch, best first: those that asynchronous halving by 3 keeps."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Curve:
    """A trial's objective by epoch, where it was validated; higher is better, all finite."""

    epochs: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, epoch: int, value: float) -> None:
        """Takes in the next epoch."""
        self.epochs.append(epoch)
        self.values.append(value)


def expected_finals(curves: Sequence[Curve], epochs: int) -> Floats:
    """Returns the value that each trial is expected to have after `epochs` epochs, which is its own if it is there.

    curves: not empty each.
    """
    lasts = np.array([curve.epochs[-1] for curve in curves])
    finals: Floats = _at_last(curves) + _remaining(gains(curves, epochs))[lasts - 1]
    return finals


def gains(curves: Sequence[Curve], epochs: int) -> Floats:
    """Returns (epochs - 1,): what the better trials gained from each epoch to the next; 0 where none has come."""
    table = _table(curves, epochs)
    steps = np.diff(table, axis=1)
    found = np.zeros(epochs - 1)
    for epoch in range(epochs - 1):
        passed = np.flatnonzero(~np.isnan(steps[:, epoch]))
        if passed.size:
            asked = max(1, round(passed.size * ASKED_SHARE))
            best = passed[np.argsort(-table[passed, epoch], kind="stable")[:asked]]
            found[epoch] = steps[best, epoch].mean()
    return found


def _table(curves: Sequence[Curve], epochs: int) -> Floats:
    """Returns (trials, epochs): each curve up to its last epoch, straight between validations, NaN beyond."""
    table = np.full((len(curves), epochs), np.nan)
    for row, curve in zip(table, curves, strict=True):
        last = curve.epochs[-1]
        every = len(curve.values) == last
        row[:last] = curve.values if every else np.interp(np.arange(1, last + 1), curve.epochs, curve.values)
    return table


def _at_last(curves: Sequence[Curve]) -> Floats:
    return np.array([curve.values[-1] for curve in curves])


def _remaining(steps: Floats) -> Floats:
    """Returns (epochs,): the sum of all steps from each epoch on; 0 from the last."""
    return np.append(np.cumsum(steps[::-1])[::-1], 0.0)
