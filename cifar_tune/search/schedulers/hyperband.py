"""HyperBand. Source: Li et al. 2018 (arXiv:1603.06560, algorithm 1).

The paper's letters: R the epochs of a whole trial, eta the reduction factor, s the number of a bracket's rungs. The
resource is counted in epochs, and the smallest is the grace period: s_max = floor(log_eta(R / grace)).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count, cycle, takewhile

from cifar_tune.config.schedulers import Hyperband
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.schedulers.rungs import PausingRungs
from cifar_tune.search.schedulers.scheduler import Scheduler


@dataclass(frozen=True)
class Shape:
    """What a bracket is to hold: n trials, and the epochs of its rungs."""

    trials: int
    rungs: tuple[int, ...]


def shapes(config: Hyperband, epochs: int) -> tuple[Shape, ...]:
    """Returns the brackets of one round, s from s_max to 0.

    n = ceil((s_max + 1) / (s + 1) * eta^s) trials, rungs at R / eta^(s - i) epochs.
    """
    factor, grace = config.reduction_factor, config.grace_epochs
    most = len(list(takewhile(lambda s: grace * factor**s <= epochs, count(1))))
    return tuple(
        Shape(-(-(most + 1) * factor**s // (s + 1)), tuple(round(epochs / factor**k) for k in range(s, 0, -1)))
        for s in range(most, -1, -1)
    )


def fill(config: Hyperband, epochs: int, trials: int) -> list[tuple[int, tuple[int, ...]]]:
    """Returns how many of `trials` each bracket will hold, with the epochs of its rungs."""
    filled = []
    turns = cycle(shapes(config, epochs))
    while trials:
        shape = next(turns)
        held = min(shape.trials, trials)
        filled.append((held, shape.rungs))
        trials -= held
    return filled


class Brackets(Scheduler):
    """Rounds of brackets. Each trial joins the first bracket that has room, in the order in which trials start."""

    pauses = True

    def __init__(self, config: Hyperband, epochs: int, sign: int) -> None:
        """epochs: R. sign: 1 where a higher value is better, -1 where a lower one is."""
        self._shapes = shapes(config, epochs)
        self._factor = config.reduction_factor
        self._epochs = epochs
        self._sign = sign
        self._of: dict[str, _Bracket] = {}
        self._under_way: list[_Bracket] = []
        self._opened = 0

    def start(self, trial_id: str) -> None:
        """Takes in that a trial trains; a new one joins a bracket."""
        if trial_id not in self._of:
            if not self._under_way or self._under_way[-1].full:
                self._open()
            self._of[trial_id] = self._under_way[-1]
        self._of[trial_id].start(trial_id)

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Returns that the trial goes on, or pauses at the rung that it has come to."""
        return self._of[trial_id].report(trial_id, epoch, value)

    def end(self, trial_id: str, *, stopped: bool) -> None:
        """Takes in that a trial waits, or is over."""
        self._of[trial_id].end(trial_id, stopped=stopped)

    def promotable(self, *, closed: bool) -> str | None:
        """Returns the best that waits at a decided rung, of the oldest bracket that has one; None where none does."""
        for bracket in self._under_way:
            if (found := bracket.promotable(closed=closed)) is not None:
                return found
        self._under_way = [bracket for bracket in self._under_way if bracket.live or not bracket.full]
        return None

    def _open(self) -> None:
        shape = self._shapes[self._opened % len(self._shapes)]
        self._under_way.append(_Bracket(shape, self._factor, self._epochs, self._sign, self._opened))
        self._opened += 1


class _Bracket:
    """One successive halving. A rung is decided when every trial that may come to it has come or ended."""

    def __init__(self, shape: Shape, factor: int, epochs: int, sign: int, number: int) -> None:
        self._ladder = PausingRungs(shape.rungs, epochs, sign, number)
        self._size = shape.trials
        self._factor = factor
        self._members: set[str] = set()
        self._below: Counter[int] = Counter()

    @property
    def full(self) -> bool:
        return len(self._members) == self._size

    @property
    def live(self) -> bool:
        return self._below.total() > 0

    def start(self, trial_id: str) -> None:
        self._members.add(trial_id)
        self._ladder.release(trial_id)
        self._below[self._ladder.next_rung(trial_id)] += 1

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        before = self._ladder.next_rung(trial_id)
        place = self._ladder.arrive(trial_id, epoch, value)
        if place is None:
            return CONTINUE
        self._below[before] -= 1
        self._below[place + 1] += 1
        decided = self._decided(place, closed=False) and self._best_below(place) is None
        return self._ladder.rungs[place].judge(trial_id, self._places(place) if decided else 0)

    def end(self, trial_id: str, *, stopped: bool) -> None:
        self._below[self._ladder.next_rung(trial_id)] -= 1
        if stopped:
            self._ladder.pause(trial_id)

    def promotable(self, *, closed: bool) -> str | None:
        for place, rung in enumerate(self._ladder.rungs):
            if not self._decided(place, closed=closed):
                return None
            if (found := rung.best_paused(self._places(place))) is not None:
                return found
        return None

    def _decided(self, place: int, *, closed: bool) -> bool:
        """Whether none is on its way to the rung or one below; to be asked of one rung after the other, upwards."""
        return (self.full or closed) and not any(self._below[rung] for rung in range(place + 1))

    def _best_below(self, place: int) -> str | None:
        """The best that waits at a lower rung to go on."""
        waiting = (rung.best_paused(self._places(below)) for below, rung in enumerate(self._ladder.rungs[:place]))
        return next((found for found in waiting if found is not None), None)

    def _places(self, place: int) -> int:
        """How many go on from a rung: floor(n / eta^(i + 1)), and always the best."""
        share: int = self._factor ** (place + 1)
        return max(1, len(self._members) // share)
