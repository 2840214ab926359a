"""When a trial is stopped: pure bookkeeping of values by epoch, one scheduler a study."""

from __future__ import annotations

from typing import Protocol

from cifar_tune.config.schedulers import AnyScheduler, Asha, NoScheduler
from cifar_tune.tuning.decision import CONTINUE, Decision
from cifar_tune.tuning.schedulers.asha import AshaRungs


class Scheduler(Protocol):
    """What decides about the trials of one study."""

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Takes in a trial's objective after an epoch, and decides whether it goes on."""


class EveryEpoch:
    """Stops nothing."""

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Returns that the trial goes on."""
        return CONTINUE


def build_scheduler(config: AnyScheduler, epochs: int, sign: int) -> Scheduler:
    """Returns the scheduler of one study. epochs: of a whole trial. sign: 1 where higher is better, else -1."""
    match config:
        case Asha():
            return AshaRungs(config, epochs, sign)
        case NoScheduler():
            return EveryEpoch()
