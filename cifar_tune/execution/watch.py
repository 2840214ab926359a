"""Shows a search while its trials are at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.dispatcher import BEGIN_SECONDS
from cifar_tune.execution.placement.attempt import Attempt
from cifar_tune.execution.progress import Running, Screen, View
from cifar_tune.results.columns import RUNNING
from cifar_tune.search.audit import Arrivals, Audit
from cifar_tune.search.proposer import Proposer

STARTING = f"starting workers, which takes up to {BEGIN_SECONDS:.0f} s on a busy machine"
TIMING = "timing the first epochs; the time left is known when a trial has ended"


@contextmanager
def watching(
    console: Console, sweep: SweepConfig, search: Proposer, guard: Callable[[], str | None]
) -> Iterator[Watch]:
    """Yields what shows the trials that are at work; inside it the terminal is taken.

    guard: says in a line what the trials at the first rung show of early stopping.
    """
    with Screen(console) as screen:
        yield Watch(screen, sweep, search, guard)


class Watch:
    """Shows a search and its trials at work, as often as is sensible."""

    def __init__(self, screen: Screen, sweep: SweepConfig, search: Proposer, guard: Callable[[], str | None]) -> None:
        """guard: says in a line what the trials at the first rung show of early stopping."""
        self._screen = screen
        self._waiting: str | None = None
        self._sweep = sweep
        self._search = search
        self._guard = guard
        self._began = time.monotonic()
        self._ended_before = self._ended()
        self._epochs_before = search.progress().epochs

    def tell(self, waiting: str | None) -> None:
        """Sets the reason why no trial is running, or None if one is."""
        self._waiting = waiting

    def announce(self, line: str) -> None:
        """Writes a line that stays."""
        self._screen.announce(line)

    def refresh(self, live: Iterable[Attempt]) -> None:
        """Shows the trials that are at work, if it is time."""
        if self._screen.due:
            self._screen.show(self.view(live))

    def view(self, live: Iterable[Attempt]) -> View:
        """Returns the state now."""
        running = tuple(
            Running(attempt.proposal.trial_id, attempt.epoch, attempt.proposal.trial.epochs, attempt.accuracy)
            for attempt in live
            if attempt.at_work
        )
        seconds = time.monotonic() - self._began
        return View(
            name=self._sweep.name,
            progress=self._search.progress(),
            metric=self._sweep.objectives[0].metric,
            running=running,
            seconds=seconds,
            seconds_left=self._seconds_left(seconds),
            guard=self._guard(),
            waiting=self._waiting or self._beginning(running),
        )

    def _beginning(self, running: tuple[Running, ...]) -> str | None:
        """Returns what is done before this driver has heard of an epoch; None from then on."""
        if self._search.progress().epochs > self._epochs_before:
            return None
        return TIMING if running else STARTING

    def _ended(self) -> int:
        return sum(count for status, count in self._search.progress().counts.items() if status != RUNNING)

    def _seconds_left(self, seconds: float) -> float | None:
        """At the rate at which trials have ended since this driver began; None before the first."""
        ended = self._ended()
        if ended <= self._ended_before:
            return None
        return seconds / (ended - self._ended_before) * (self._search.progress().planned - ended)


def no_guard() -> None:
    """Says nothing, of trials that no rung stops, or that have several objectives."""


class GuardLine:
    """A line about early stopping, judged again whenever the final value of another trial is known."""

    def __init__(self, audit: Audit, judge: Callable[[Arrivals], str | None]) -> None:
        self._audit = audit
        self._judge = judge
        self._judged: tuple[int, str | None] = (0, None)

    def __call__(self) -> str | None:
        finals = self._audit.finals
        if finals != self._judged[0]:
            arrivals = self._audit.arrivals()
            self._judged = finals, None if arrivals is None else self._judge(arrivals)
        return self._judged[1]
