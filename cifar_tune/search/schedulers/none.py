"""No early stopping."""

from __future__ import annotations

from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.schedulers.scheduler import Scheduler


class EveryEpoch(Scheduler):
    """Stops nothing."""

    def report(self, trial_id: str, epoch: int, value: float, *others: float) -> Decision:
        """Returns that the trial goes on."""
        return CONTINUE
