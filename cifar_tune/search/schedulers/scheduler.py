"""What every scheduler is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from cifar_tune.search.schedulers.decision import Decision


@dataclass(frozen=True)
class Replacement:
    """A trial that is to give way to a copy of another. reason: where it stood, in words."""

    loser: str
    winner: str
    reason: str


class Scheduler(ABC):
    """What decides about the trials of one study.

    What it knows must not depend on the order in which different trials reported: a search that is continued tells it
    of one trial after the other.
    """

    pauses: bool = False
    """Whether a trial that it stops may go on later."""

    def start(self, trial_id: str) -> None:
        """Takes in that a trial trains, for the first time or again after a pause. New ones come in their order."""
        return

    @abstractmethod
    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Takes in a trial's objective after an epoch, and decides whether it goes on.

        One that can go by several objectives takes the others as further arguments.
        """

    def record_without_deciding(self, trial_id: str, epoch: int, *values: float) -> None:
        """Takes in an epoch after which a trial was compared with none, though it may stand at a rung by now.

        So it is with the last epoch of a sweep that was given more of them.
        """
        self.report(trial_id, epoch, *values)

    def end(self, trial_id: str, *, stopped: bool) -> None:
        """Takes in that a trial trains no longer. stopped: by a decision, which may have been meant as a pause."""
        return

    def promotable(self, *, closed: bool) -> str | None:
        """Returns the paused trial that is to go on next, None while there is none. closed: no new trials will come."""
        return None

    def replaceable(self, *, closed: bool) -> Replacement | None:
        """Returns the next paused trial that is to be replaced, None while there is none. closed: as above.

        It is asked before `promotable`, so that the trial to be copied still waits.
        """
        return None

    def replace(self, loser: str, child: str) -> None:
        """Takes in, before it starts, that a new trial has taken the place of another."""
        return
