"""How long a sweep has taken, over all its drivers, and whether that is as long as it may."""

from __future__ import annotations

from cifar_tune.config.stop_rules import StopRules
from cifar_tune.search.source import Record
from cifar_tune.search.stop_rules import ENDED_BY, Met

ELAPSED = "elapsed"
"""Kind of the store's notes about the time taken so far."""

NOTE_SECONDS = 30.0
"""Between two notes: what a killed driver does not count."""

HOUR = 3600.0


class Clock:
    """Adds up wall time, and the GPU time of the trials at work. Its caller says what time it is."""

    def __init__(self, rules: StopRules, store: Record, *, now: float) -> None:
        """now: in seconds, of a clock that never goes back."""
        self._rules = rules
        self._store = store
        self.seconds = self.gpu_seconds = 0.0
        for note in store.notes(ELAPSED):
            self.seconds, self.gpu_seconds = note["seconds"], note["gpu_seconds"]
        self._noted = self.seconds
        self._now = now

    def tick(self, now: float, gpus: float) -> None:
        """Takes in the time since the last call. gpus: that trials have."""
        passed, self._now = now - self._now, now
        self.seconds += passed
        self.gpu_seconds += passed * gpus
        if self.seconds - self._noted >= NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Keeps the time so far in the store."""
        self._noted = self.seconds
        self._store.note(ELAPSED, seconds=round(self.seconds, 3), gpu_seconds=round(self.gpu_seconds, 3))

    def met(self) -> Met | None:
        """Returns the rule whose time is over; None while there is time left."""
        for rule, seconds in (("hours", self.seconds), ("gpu_hours", self.gpu_seconds)):
            limit = getattr(self._rules, rule)
            if limit is not None and seconds >= limit * HOUR:
                return Met(rule, limit, f"stop.{rule}: {seconds / HOUR:.4g} of {limit:g} {rule.replace('_', '-')}")
        return None

    def end(self, now: float, met: Met | None) -> None:
        """Keeps the time in the store, and the rule that has ended the sweep."""
        self.tick(now, 0.0)
        self.note()
        if met is not None:
            self._store.note(ENDED_BY, rule=met.rule, limit=met.limit, told=met.told)
