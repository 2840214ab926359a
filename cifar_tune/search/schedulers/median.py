"""The median stopping rule. Source: Golovin et al. 2017 (doi:10.1145/3097983.3098043, section 3.2.1)."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from cifar_tune.config.schedulers import MedianStopping
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.schedulers.scheduler import Scheduler


@dataclass(slots=True)
class _Record:
    """A trial's losses so far."""

    least: float = float("inf")
    total: float = 0.0
    count: int = 0

    def add(self, loss: float) -> None:
        self.least = min(self.least, loss)
        self.total += loss
        self.count += 1


class Median(Scheduler):
    """Every epoch from the grace period on is a rung; there a trial's best is held against the others' averages."""

    def __init__(self, config: MedianStopping, epochs: int, sign: int) -> None:
        """epochs: of a whole trial. sign: 1 where a higher value is better, -1 where a lower one is."""
        self._config = config
        self._epochs = epochs
        self._sign = sign
        self._records: dict[str, _Record] = defaultdict(_Record)
        self._averages: dict[int, list[float]] = defaultdict(list)

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Records a value and decides. A best value equal to the median goes on."""
        record = self._records[trial_id]
        record.add(-self._sign * value)
        if not self._config.grace_epochs <= epoch < self._epochs:
            return CONTINUE
        others = self._averages[epoch]
        size, rank = len(others) + 1, bisect_left(others, record.least) + 1
        cutoff = median(others) if len(others) >= self._config.min_trials else None
        insort(others, record.total / record.count)
        if cutoff is None:
            return Decision("continue", epoch, size, rank)
        worse = record.least > cutoff
        return Decision("stop" if worse else "continue", epoch, size, rank, -self._sign * cutoff)

    def record_without_deciding(self, trial_id: str, epoch: int, *values: float) -> None:
        """Takes in an epoch after which the trial was not compared."""
        self._records[trial_id].add(-self._sign * values[0])


def median(ordered: Sequence[float]) -> float:
    """Returns the middle of sorted values, the mean of the two where their number is even."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
