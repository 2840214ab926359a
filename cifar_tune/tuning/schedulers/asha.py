"""Asynchronous successive halving, the stopping variant. Source: Li et al. 2020 (arXiv:1810.05934, algorithm 2).

The paper's letters: r the grace period, R the most epochs, eta the reduction factor, rung k at r * eta^k epochs.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict

from cifar_tune.config.schedulers import Asha
from cifar_tune.tuning.decision import CONTINUE, Decision


def rungs(grace_epochs: int, reduction_factor: int, epochs: int) -> tuple[int, ...]:
    """Returns the epochs r * eta^k below R; at R a trial is complete, and nothing is left to stop."""
    found = []
    epoch = grace_epochs
    while epoch < epochs:
        found.append(epoch)
        epoch *= reduction_factor
    return tuple(found)


def places(size: int, reduction_factor: int) -> int:
    """Returns how many of `size` trials at a rung go on: one in eta, and always the best."""
    return max(1, size // reduction_factor)


class AshaRungs:
    """The rungs of one study. A trial is compared with those that reached its rung before it, and never waits."""

    def __init__(self, config: Asha, epochs: int, sign: int) -> None:
        """epochs: R. sign: 1 where a higher value is better, -1 where a lower one is."""
        self._rungs = rungs(config.grace_epochs, config.reduction_factor, epochs)
        self._factor = config.reduction_factor
        self._epochs = epochs
        self._sign = sign
        self._losses: dict[int, list[float]] = {rung: [] for rung in self._rungs}
        self._passed: dict[str, int] = defaultdict(int)

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Records a trial's value after an epoch and decides whether it goes on.

        A rung is decided at the first epoch at or past it that has a value. Of equal values none is preferred.
        """
        passed = self._passed[trial_id]
        if epoch >= self._epochs or passed == len(self._rungs) or epoch < self._rungs[passed]:
            return CONTINUE
        reached = sum(rung <= epoch for rung in self._rungs)
        self._passed[trial_id] = reached
        return self._decide(self._rungs[reached - 1], value)

    def _decide(self, rung: int, value: float) -> Decision:
        losses, loss = self._losses[rung], -self._sign * value
        insort(losses, loss)
        size, rank = len(losses), bisect_left(losses, loss) + 1
        allowed = places(size, self._factor)
        cutoff = -self._sign * losses[allowed - 1]
        return Decision("continue" if rank <= allowed else "stop", rung, size, rank, cutoff)
