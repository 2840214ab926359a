"""Population based training in lock-step. Source: Jaderberg et al. 2017 (arXiv:1711.09846), truncation selection."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from cifar_tune.config.schedulers import Pbt
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.schedulers.rungs import PausingRungs, Rung
from cifar_tune.search.schedulers.scheduler import Replacement, Scheduler


def replaced(quantile: float, members: int) -> int:
    """Returns how many of so many members give way: a share, at least one of two, and at most every second."""
    return min(math.ceil(quantile * members), members // 2)


class Population(Scheduler):
    """Every member pauses at a rung until all have come; then the worst are replaced by copies of the best."""

    pauses = True

    def __init__(self, config: Pbt, epochs: int, sign: int, seed: int) -> None:
        """epochs: of a whole trial. sign: 1 where a higher value is better, -1 where a lower one is."""
        self._quantile = config.quantile
        self._ladder = PausingRungs(range(config.interval_epochs, epochs, config.interval_epochs), epochs, sign)
        self._seed = seed
        self._training: set[str] = set()
        self._waiting: set[str] = set()
        self._replaced: set[str] = set()

    def start(self, trial_id: str) -> None:
        """Takes in that a trial trains."""
        self._ladder.release(trial_id)
        self._waiting.discard(trial_id)
        self._training.add(trial_id)

    def report(self, trial_id: str, epoch: int, value: float) -> Decision:
        """Returns that the trial goes on, or pauses at the rung that it has come to."""
        place = self._ladder.arrive(trial_id, epoch, value)
        return CONTINUE if place is None else self._ladder.rungs[place].judge(trial_id, 0)

    def end(self, trial_id: str, *, stopped: bool) -> None:
        """Takes in that a trial waits, or is over."""
        self._training.discard(trial_id)
        if stopped:
            self._ladder.pause(trial_id)
            self._waiting.add(trial_id)

    def promotable(self, *, closed: bool) -> str | None:
        """Returns a survivor of the lowest rung that is decided; None where none waits there."""
        for _, rung in self._decided(closed=closed):
            survivors = rung.ranked[: len(rung) - self.losers(len(rung))]
            if (found := next((one for one in survivors if self._waits_at(one, rung)), None)) is not None:
                return found
        return None

    def replaceable(self, *, closed: bool) -> Replacement | None:
        """Returns the next loser to be replaced, and whose copy takes its place, drawn from the best."""
        for _, rung in self._decided(closed=closed):
            count, ranked = self.losers(len(rung)), rung.ranked
            for rank, loser in enumerate(ranked[len(rung) - count :], start=len(rung) - count + 1):
                if self._waits_at(loser, rung) and loser not in self._replaced:
                    winner = random.Random(f"{self._seed}/{loser}").choice(ranked[:count])
                    return Replacement(loser, winner, f"place {rank} of {len(rung)} at epoch {rung.epoch}")
        return None

    def replace(self, loser: str, child: str) -> None:
        """Takes in that a new trial has taken a loser's place: it comes to the rungs after that one."""
        self._replaced.add(loser)
        self._ladder.begin_above(child, like=loser)

    def losers(self, members: int) -> int:
        """Returns how many of so many are replaced."""
        return replaced(self._quantile, members)

    def _decided(self, *, closed: bool) -> Iterator[tuple[int, Rung]]:
        """Yields the rungs to which nobody comes any more, up to the one where survivors wait to go on."""
        if not closed:
            return
        for place, rung in enumerate(self._ladder.rungs):
            if any(self._ladder.next_rung(one) <= place for one in self._training):
                return
            yield place, rung
            if any(self._waits_at(one, rung) for one in rung.ranked[: len(rung) - self.losers(len(rung))]):
                return

    def _waits_at(self, trial_id: str, rung: Rung) -> bool:
        return trial_id in self._waiting and self._ladder.rungs[self._ladder.next_rung(trial_id) - 1] is rung
