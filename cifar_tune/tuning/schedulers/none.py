"""No early stopping."""

from __future__ import annotations

from cifar_tune.tuning.schedulers.scheduler import Scheduler
from cifar_tune.tuning.search.decision import CONTINUE, Decision


class EveryEpoch(Scheduler):
    """Stops nothing."""

    def report(self, trial_id: str, epoch: int, value: float, *others: float) -> Decision:
        """Returns that the trial goes on."""
        return CONTINUE
