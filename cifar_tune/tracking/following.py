"""Sends a tracker what it does not have of a sweep yet, again and again while the sweep runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from cifar_tune.results import Frames
from cifar_tune.results.columns import CONFIGURATION_PREFIX, RUNNING
from cifar_tune.tracking.record import Sent, SentRecord
from cifar_tune.tracking.tracker import FIGURES, OpenRun, TrackedTrial, Tracker

BESIDES = ("sweep", "trial_id", "status", "started_at", "ended_at")
"""Columns of a trial that are not part of its outcome."""


@dataclass(frozen=True)
class Count:
    """What a round sent."""

    trials: int = 0
    epochs: int = 0


class Following:
    """A tracker that is brought up to date by `send`; runs of running trials stay open in between."""

    def __init__(self, tracker: Tracker, record: SentRecord) -> None:
        self._tracker = tracker
        self._record = record
        self._open: dict[str, OpenRun] = {}

    def send(self, frames: Frames) -> Count:
        """Sends what is new in the tables since the last time, by the record.

        Raises:
            TrackingError: the tracker does not take it; what it took is in the record.
            ResultsError: the record could not be written.
        """
        news = {trial.trial_id: trial for trial in self._news(frames)}
        epochs = frames.epochs[frames.epochs["trial_id"].isin(news)]
        by_trial = dict(iter(epochs.groupby("trial_id", observed=True, sort=False)))
        sent = 0
        try:
            for trial in news.values():
                sent += self._send(trial, by_trial.get(trial.trial_id, epochs.iloc[:0]))
        finally:
            if news:
                self._record.save()
        return Count(len(news), sent)

    def close(self) -> None:
        """Lets go of all runs; none of them is ended in the tracker."""
        for trial_id in list(self._open):
            self._close(trial_id)

    def _close(self, trial_id: str) -> None:
        run = self._open.pop(trial_id, None)
        if run is not None:
            run.close()

    def _news(self, frames: Frames) -> Iterator[TrackedTrial]:
        """The trials of which the tracker has not all."""
        last = frames.epochs.groupby("trial_id", observed=True)["epoch"].max()
        reached = frames.trials["trial_id"].map(last).fillna(0).astype(int)
        for place, (epoch, status, start) in enumerate(
            zip(reached, frames.trials["status"], frames.trials["started_at"], strict=True)
        ):
            sent = self._record.trials.get(str(frames.trials["trial_id"].iloc[place]))
            if sent is None or (sent.epoch, sent.status, sent.started_at) != (epoch, status, str(start)):
                yield tracked_trial(frames.trials.iloc[place])

    def _send(self, trial: TrackedTrial, epochs: pd.DataFrame) -> int:
        """Sends one trial; returns how many epochs of it were new."""
        start = str(pd.NaT if trial.started_at is None else pd.Timestamp(trial.started_at))
        known = self._record.trials.get(trial.trial_id)
        if known is not None and known.started_at != start:
            known = None
            self._close(trial.trial_id)
        run = self._open.get(trial.trial_id)
        if run is None:
            run = self._open[trial.trial_id] = self._tracker.open_run(trial, known.run if known else None)
        sent = Sent(run.name, known.epoch if known else 0, "", start)
        count = 0
        try:
            for epoch, values, moment in measured_epochs(trial, epochs):
                if epoch > sent.epoch:
                    run.write_epoch(epoch, values, moment)
                    sent = replace(sent, epoch=epoch)
                    count += 1
            run.write_outcome(trial)
            sent = replace(sent, status=trial.status)
            if trial.status != RUNNING:
                self._close(trial.trial_id)
        finally:
            self._record.trials[trial.trial_id] = sent
        return count


def tracked_trial(row: pd.Series[Any]) -> TrackedTrial:
    """A trial from its row, without what has no value."""
    values = {str(name): _plain(value) for name, value in row.items() if not pd.isna(value)}
    return TrackedTrial(
        sweep=values["sweep"],
        trial_id=values["trial_id"],
        status=values["status"],
        configuration={
            name.removeprefix(CONFIGURATION_PREFIX): value
            for name, value in values.items()
            if name.startswith(CONFIGURATION_PREFIX)
        },
        outcome={
            name: value
            for name, value in values.items()
            if not name.startswith(CONFIGURATION_PREFIX) and name not in BESIDES
        },
        started_at=values.get("started_at"),
        ended_at=values.get("ended_at"),
    )


def measured_epochs(trial: TrackedTrial, epochs: pd.DataFrame) -> Iterator[tuple[int, Mapping[str, float], datetime]]:
    """Each epoch with its figures, and when it ended if the trial never waited: the tables do not say."""
    spent = epochs["epoch_seconds"].fillna(0).astype(float).cumsum()
    for (_, row), seconds in zip(epochs.iterrows(), spent, strict=True):
        figures = {name: float(row[name]) for name in FIGURES if name in row.index and not pd.isna(row[name])}
        start = trial.started_at or datetime.fromtimestamp(0, UTC)
        yield int(row["epoch"]), figures, start + timedelta(seconds=seconds)


def _plain(value: Any) -> Any:
    """Numbers and times of pandas as Python's own."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value
