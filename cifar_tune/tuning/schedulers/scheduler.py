"""What every scheduler is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod

from cifar_tune.tuning.decision import Decision


class Scheduler(ABC):
    """What decides about the trials of one study."""

    @abstractmethod
    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Takes in a trial's objective after an epoch, and decides whether it goes on.

        One that can go by several objectives takes the others as further arguments.
        """
