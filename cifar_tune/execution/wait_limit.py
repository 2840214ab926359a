"""Whether a sweep stands still for want of a place, and for how long it may. Pure: its caller says what time it is."""

from __future__ import annotations

from collections.abc import Callable

from cifar_tune.errors import ClusterError
from cifar_tune.execution.clock import HOUR
from cifar_tune.execution.cluster.ray_health import SAVED

TOLD_SECONDS = 60.0
"""Without a trial at work, before the user is told: to start a worker takes 5 to 10 s, on a busy machine up to a
minute."""

AGAIN_SECONDS = 5.0
"""Between two looks at what there is."""


class Waiting:
    """Since when no trial has been at work."""

    def __init__(self, hours: float, *, now: float) -> None:
        """hours: after which the sweep ends. now: in seconds, of a clock that never goes back."""
        self._hours = hours
        self._since = now
        self._looked = now
        self._told: str | None = None

    def tick(self, now: float, at_work: bool, what: Callable[[], str]) -> str | None:
        """Returns what the sweep waits for; None while a trial is at work, or was a moment ago.

        what: says what is asked for and what there is.

        Raises:
            ClusterError: it has waited too long.
        """
        if at_work:
            self._since, self._told = now, None
        seconds, most = now - self._since, self._hours * HOUR
        if seconds < min(TOLD_SECONDS, most):
            return None
        if self._told is None or now - self._looked >= AGAIN_SECONDS:
            self._looked, self._told = now, what()
        if seconds >= most:
            limit = f"resources.wait_hours: for {self._hours:g} h no trial was at work"
            raise ClusterError(f"{limit}; {self._told}. {SAVED[0].upper()}{SAVED[1:]}")
        return self._told
