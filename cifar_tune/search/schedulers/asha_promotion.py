"""Asynchronous successive halving by promotion. Source: Li et al. 2020 (arXiv:1810.05934, algorithm 2)."""

from __future__ import annotations

from cifar_tune.config.schedulers import AshaPromotion, rungs
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.schedulers.rungs import PausingRungs
from cifar_tune.search.schedulers.scheduler import Scheduler


class Promotion(Scheduler):
    """A trial goes on while it is among the best of its rung, one in eta; else it waits until it is."""

    pauses = True

    def __init__(self, config: AshaPromotion, epochs: int, sign: int) -> None:
        """epochs: of a whole trial. sign: 1 where a higher value is better, -1 where a lower one is."""
        self._ladder = PausingRungs(rungs(config.grace_epochs, config.reduction_factor, epochs), epochs, sign)
        self._factor = config.reduction_factor

    def start(self, trial_id: str) -> None:
        """Takes in that a trial trains."""
        self._ladder.release(trial_id)

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Returns that the trial goes on, or pauses at the rung that it has come to."""
        place = self._ladder.arrive(trial_id, epoch, value)
        if place is None:
            return CONTINUE
        rung = self._ladder.rungs[place]
        return rung.judge(trial_id, len(rung) // self._factor)

    def record_without_deciding(self, trial_id: str, epoch: int, *values: float) -> None:
        """Takes in an epoch after which the trial was not compared."""
        self._ladder.record_without_deciding(trial_id, epoch)

    def end(self, trial_id: str, *, stopped: bool) -> None:
        """Takes in that a trial waits, or is over."""
        if stopped:
            self._ladder.pause(trial_id)

    def promotable(self, *, closed: bool) -> str | None:
        """Returns the best that waits at the highest rung where it is among the best; None where there is none.

        Where no more trials come, the best of a rung goes on even if fewer than eta have come to it: else a sweep of
        few trials would complete none.
        """
        for rung in reversed(self._ladder.rungs):
            found = rung.best_paused(max(len(rung) // self._factor, int(closed)))
            if found is not None:
                return found
        return None
