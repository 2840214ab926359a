"""What a study is shown of the other cells' trials, so that cells learn from each other.

Cells differ in how good their trials are, and what is good in one is often good in another: so each cell's values are
replaced by their normal scores within the cell. Source: Salinas et al. 2020 (arXiv:1909.13595, section 4).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from statistics import NormalDist

from optuna.trial import FrozenTrial

from cifar_tune.search.studies.observations import TrialHistory

NORMAL = NormalDist()


def shown_together(
    own: TrialHistory, cells: Iterable[TrialHistory], *, most: int, completed_only: bool
) -> list[FrozenTrial]:
    """Returns the past of all cells as a sampler of one of them is to see it, in the order of the proposals.

    cells: `own` among them. A cell's own trials come before others' where there are more than `most`: what it knows
    itself is of its own values of the grid; but a sampler that breeds (settled) needs the latest of all. What other
    cells refused for a constraint may be allowed here, and is left out.
    """
    others = heapq.nlargest(most, (cell for cell in cells if cell is not own), key=lambda cell: cell.latest)
    ours = _scored(own, completed_only=completed_only, refused=True)
    theirs = [one for other in others for one in _scored(other, completed_only=completed_only, refused=False)]
    theirs.sort(key=lambda pair: pair[0])
    room = most if completed_only else max(0, most - len(ours))
    return [trial for _, trial in sorted([*ours, *theirs[max(0, len(theirs) - room) :]], key=lambda pair: pair[0])]


def _scored(memory: TrialHistory, *, completed_only: bool, refused: bool) -> list[tuple[int, FrozenTrial]]:
    """Returns a cell's trials with their places in the order of all proposals, their values replaced by scores."""
    pairs = memory.ordered(completed_only=completed_only, refused=refused)
    known = [(trial, trial.values) for _, trial in pairs if trial.values is not None]
    columns = [normal_scores(column) for column in zip(*(values for _, values in known), strict=True)]
    for (trial, _), scores in zip(known, zip(*columns, strict=True), strict=True):
        trial.values = scores
    return pairs


def normal_scores(values: Sequence[float]) -> list[float]:
    """Returns for each value the quantile of the normal distribution at its mid-rank; equal values get equal ones."""
    ordered = sorted(values)
    return [
        NORMAL.inv_cdf((bisect_left(ordered, one) + bisect_right(ordered, one)) / (2 * len(ordered))) for one in values
    ]
