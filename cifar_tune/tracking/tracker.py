"""What a tracker is given of a trial, and what it must do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cifar_tune.errors import TrackingError
from cifar_tune.results.columns import EPOCH_COLUMNS

Scalar = float | int | bool | str

FIGURES = tuple(column.name for column in EPOCH_COLUMNS if column.kind in ("float", "int") and column.name != "epoch")
"""What is measured or decided at an epoch."""


@dataclass(frozen=True)
class TrackedTrial:
    """A trial as its row stands.

    configuration: by dotted path. outcome: the other columns that have a value, but status and times.
    """

    sweep: str
    trial_id: str
    status: str
    configuration: Mapping[str, Scalar]
    outcome: Mapping[str, Scalar]
    started_at: datetime | None
    ended_at: datetime | None


class OpenRun(Protocol):
    """A trial in a tracker, which calls it a run, open to be written to. Methods raise TrackingError."""

    name: str
    """By which the tracker finds it again."""

    def write_epoch(self, epoch: int, values: Mapping[str, float], at: datetime) -> None:
        """Adds an epoch that it has not; at: when it ended, to within what waiting took."""

    def write_outcome(self, trial: TrackedTrial) -> None:
        """Replaces status and outcome."""

    def close(self) -> None:
        """Lets go of it; everything written is there."""


class Tracker(Protocol):
    """Where runs are made. place: names it. shown_by: the command that shows them, if there is one."""

    place: str
    shown_by: str

    def open_run(self, trial: TrackedTrial, name: str | None) -> OpenRun:
        """Makes the trial's run, or goes on with the one of that name.

        Raises:
            TrackingError: the tracker does not take it.
        """


def missing(package: str, command: str) -> TrackingError:
    """What to raise where a tracker's package is not installed. command: installs it."""
    return TrackingError(f"needs the package {package}, which is not installed: {command}")
