"""Asynchronous successive halving, the stopping variant. Source: Li et al. 2020 (arXiv:1810.05934, algorithm 2).

The paper's letters: r the grace period, R the most epochs, eta the reduction factor, s the bracket, whose rung k is
at r * eta^(s + k) epochs.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from cifar_tune.config.schedulers import Asha, rungs
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.schedulers.scheduler import Scheduler


def places(size: int, reduction_factor: int) -> int:
    """Returns how many of `size` trials at a rung go on: one in eta, and always the best."""
    return max(1, size // reduction_factor)


def bracket_shares(rung_count: int, reduction_factor: int, brackets: int) -> list[float]:
    """Returns the share of trials in each bracket, such that all brackets are given the same number of epochs.

    There is one bracket more than rungs at most: a last one in which no trial is stopped.
    Source: Li et al. 2018 (arXiv:1603.06560, algorithm 1), n of a bracket with `rung_count - s` rungs, unrounded.
    """
    sizes = [reduction_factor ** (rung_count - s) / (rung_count - s + 1) for s in range(min(brackets, rung_count + 1))]
    return [size / sum(sizes) for size in sizes]


class AshaStopping(Scheduler):
    """The rungs of one study. A trial is compared with those of its bracket that reached its rung before it.

    It never waits. Its bracket follows from the sweep's seed and the trial's name, whatever else happened.
    """

    def __init__(self, config: Asha, epochs: int, sign: int, seed: int) -> None:
        """epochs: R. sign: 1 where a higher value is better, -1 where a lower one is. seed: of the sweep."""
        self._sign = sign
        levels = rungs(config.grace_epochs, config.reduction_factor, epochs)
        shares = bracket_shares(len(levels), config.reduction_factor, config.brackets)
        self._brackets = [
            self._new_rungs(levels[s:], config.reduction_factor, epochs, None if len(shares) == 1 else s)
            for s in range(len(shares))
        ]
        self._borders = list(accumulate(shares))[:-1]
        self._seed = seed

    def _new_rungs(self, levels: Sequence[int], factor: int, epochs: int, bracket: int | None) -> Rungs:
        return Rungs(levels, factor, epochs, self._sign, bracket)

    def bracket(self, trial_id: str) -> int:
        """Returns s, 0 for the bracket that stops first."""
        if not self._borders:
            return 0
        draw = np.random.default_rng((self._seed, zlib.crc32(trial_id.encode()))).random()
        return bisect_right(self._borders, draw)

    def report(self, trial_id: str, epoch: int, value: float, *others: float) -> Decision:
        """Records a trial's value after an epoch and decides whether it goes on.

        A rung is decided at the first epoch at or past it that has a value. Of equal values none is preferred.
        """
        return self._brackets[self.bracket(trial_id)].report(trial_id, epoch, value, *others)

    def record_without_deciding(self, trial_id: str, epoch: int, *values: float) -> None:
        """Takes in an epoch after which the trial was not compared."""
        self._brackets[self.bracket(trial_id)].record_without_deciding(trial_id, epoch)


class Rungs:
    """The rungs of one bracket."""

    def __init__(self, levels: Sequence[int], factor: int, epochs: int, sign: int, bracket: int | None) -> None:
        """levels: the rungs' epochs. bracket: s, None where there is no other."""
        self._levels = levels
        self._factor = factor
        self._epochs = epochs
        self._sign = sign
        self._bracket = bracket
        self._losses: dict[int, list[float]] = {level: [] for level in levels}
        self._passed: dict[str, int] = defaultdict(int)

    def report(self, trial_id: str, epoch: int, value: float, *others: float) -> Decision:
        """Records a value and decides."""
        passed = self._passed[trial_id]
        if epoch >= self._epochs or passed == len(self._levels) or epoch < self._levels[passed]:
            return CONTINUE
        reached = bisect_right(self._levels, epoch)
        self._passed[trial_id] = reached
        return self._decide(self._levels[reached - 1], value, *others)

    def record_without_deciding(self, trial_id: str, epoch: int) -> None:
        """Takes in that a trial is past the rungs up to an epoch, compared there or not."""
        self._passed[trial_id] = max(self._passed[trial_id], bisect_right(self._levels, epoch))

    def _decide(self, rung: int, value: float, *others: float) -> Decision:
        losses, loss = self._losses[rung], -self._sign * value
        insort(losses, loss)
        size, rank = len(losses), bisect_left(losses, loss) + 1
        allowed = places(size, self._factor)
        cutoff = -self._sign * losses[allowed - 1]
        return Decision("continue" if rank <= allowed else "stop", rung, size, rank, cutoff, self._bracket)
