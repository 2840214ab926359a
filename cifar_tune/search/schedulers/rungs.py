"""Rungs at which trials pause."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from cifar_tune.search.schedulers.decision import Decision


class Rung:
    """The trials that have come to a rung, in order of merit; of equal values the lower name counts as better."""

    def __init__(self, epoch: int, sign: int, bracket: int | None) -> None:
        """sign: 1 where a higher value is better, -1 where a lower one is."""
        self.epoch = epoch
        self._sign = sign
        self._bracket = bracket
        self._losses: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []
        self._paused: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._order)

    @property
    def ranked(self) -> list[str]:
        """Those that have come, the best first."""
        return [trial_id for _, trial_id in self._order]

    def enter(self, trial_id: str, value: float) -> None:
        """Takes in a trial."""
        self._losses[trial_id] = -self._sign * value
        insort(self._order, self._entry(trial_id))

    def judge(self, trial_id: str, places: int) -> Decision:
        """Returns whether a trial is among the best `places`; else it pauses."""
        place = bisect_left(self._order, self._entry(trial_id)) + 1
        cutoff = -self._sign * self._order[places - 1][0] if 0 < places <= len(self) else None
        where = (self.epoch, len(self), place, cutoff, self._bracket)
        return Decision("continue", *where) if place <= places else Decision("stop", *where, paused=True)

    def pause(self, trial_id: str) -> None:
        """Takes in that a trial waits here."""
        insort(self._paused, self._entry(trial_id))

    def release(self, trial_id: str) -> None:
        """Takes in that a paused trial goes on."""
        del self._paused[bisect_left(self._paused, self._entry(trial_id))]

    def best_paused(self, places: int) -> str | None:
        """Returns the best trial that waits, if it is among the best `places` of all that came."""
        if not self._paused or bisect_left(self._order, self._paused[0]) >= places:
            return None
        return self._paused[0][1]

    def _entry(self, trial_id: str) -> tuple[float, str]:
        return self._losses[trial_id], trial_id


class PausingRungs:
    """The rungs of one group of trials, and where each trial stands."""

    def __init__(self, levels: Sequence[int], epochs: int, sign: int, bracket: int | None = None) -> None:
        """levels: the rungs' epochs. epochs: of a whole trial."""
        self.rungs = [Rung(level, sign, bracket) for level in levels]
        self._levels = levels
        self._epochs = epochs
        self._above: dict[str, int] = {}
        self._paused: set[str] = set()

    def next_rung(self, trial_id: str) -> int:
        """Returns the place of the rung that a trial comes to next; the number of rungs above the last."""
        return self._above.get(trial_id, 0)

    def begin_above(self, trial_id: str, *, like: str) -> None:
        """Takes in a trial that comes to no rung before the next one of another trial."""
        self._above[trial_id] = self.next_rung(like)

    def record_without_deciding(self, trial_id: str, epoch: int) -> None:
        """Takes in that a trial is past the rungs up to an epoch, and was compared at those that it has come to."""
        self._above[trial_id] = max(self.next_rung(trial_id), bisect_right(self._levels, epoch))

    def arrive(self, trial_id: str, epoch: int, value: float) -> int | None:
        """Returns the place of the rung that the trial has come to; None between rungs.

        That is at the first epoch at or past it that has a value. A trial that is complete comes to none any more.
        """
        if epoch >= self._epochs or (reached := bisect_right(self._levels, epoch)) == self.next_rung(trial_id):
            return None
        self._above[trial_id] = reached
        self.rungs[reached - 1].enter(trial_id, value)
        return reached - 1

    def pause(self, trial_id: str) -> None:
        """Takes in that a trial waits at the rung that it has come to; elsewhere it is just over."""
        if above := self.next_rung(trial_id):
            self.rungs[above - 1].pause(trial_id)
            self._paused.add(trial_id)

    def release(self, trial_id: str) -> None:
        """Takes in that a trial trains; one that waited does so no more."""
        if trial_id in self._paused:
            self._paused.remove(trial_id)
            self.rungs[self.next_rung(trial_id) - 1].release(trial_id)
