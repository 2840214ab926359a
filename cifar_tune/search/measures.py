"""What a trial has come to after an epoch, in each of the sweep's objectives. From the store's rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cifar_tune.config.objective import Metric, Objective

FACTS: Sequence[Metric] = ("num_parameters", "flops_per_image")
"""Known of a trial from its first epoch on, and the same at every one."""


class Trials(Protocol):
    """Where the facts of a trial are found."""

    def trial(self, trial_id: str) -> dict[str, Any]: ...


@dataclass
class _Sums:
    """Of the epochs of one trial so far."""

    train_seconds: float = 0.0
    latency_seconds: float | None = None


class Measures:
    """Measures trials, each epoch by epoch in order."""

    def __init__(self, objectives: Sequence[Objective], trials: Trials) -> None:
        self._metrics = [one.metric for one in objectives]
        self._trials = trials
        self._sums: dict[str, _Sums] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}

    def after(self, trial_id: str, row: Mapping[str, Any]) -> tuple[float, ...] | None:
        """Returns the trial's value in each objective after this epoch; None while one of them is not known.

        train_seconds: of all its epochs so far. latency_seconds: the least of them, since others on the machine only
        ever add to it. peak_memory_bytes: as the row has it, which is the most so far.
        """
        if len(self._metrics) == 1:
            value = row[self._metrics[0]]
            return None if value is None else (value,)
        sums = self._sums.setdefault(trial_id, _Sums())
        sums.train_seconds += row["epoch_seconds"]
        latency = row["latency_seconds"]
        if latency is not None:
            sums.latency_seconds = min(latency, sums.latency_seconds or latency)
        known = {**row, **self._facts_of(trial_id), "train_seconds": sums.train_seconds}
        known["latency_seconds"] = sums.latency_seconds
        values = [known[metric] for metric in self._metrics]
        return None if None in values else tuple(map(float, values))

    def _facts_of(self, trial_id: str) -> Mapping[str, Any]:
        if not {*FACTS} & {*self._metrics}:
            return {}
        if trial_id not in self._facts:
            row = self._trials.trial(trial_id)
            self._facts[trial_id] = {name: row[name] for name in FACTS}
        return self._facts[trial_id]
