"""Sends a tracker what it does not have of a sweep yet, again and again while the sweep runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from cifar_tune.results import Frames
from cifar_tune.results.columns import CONFIGURATION_PREFIX, RUNNING
from cifar_tune.tracking.confirmations import confirmation_news
from cifar_tune.tracking.news import HasAll, Measured, News, plain_values
from cifar_tune.tracking.record import Sent, SentRecord
from cifar_tune.tracking.tracker import FIGURES, OpenRun, TrackedTrial, Tracker

BESIDES = ("sweep", "trial_id", "status", "started_at", "ended_at")
"""Columns of a trial that are not part of its outcome."""


@dataclass(frozen=True)
class Count:
    """What a round sent."""

    trials: int = 0
    epochs: int = 0
    confirmations: int = 0


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
        trials = list(trial_news(frames, self._has_all))
        confirmations = list(confirmation_news(frames, self._has_all))
        sent = 0
        try:
            for one in trials:
                sent += self._send(one)
            for one in confirmations:
                self._send(one)
        finally:
            if trials or confirmations:
                self._record.save()
        return Count(len(trials), sent, len(confirmations))

    def close(self) -> None:
        """Lets go of all runs; none of them is ended in the tracker."""
        for trial_id in list(self._open):
            self._close(trial_id)

    def _close(self, trial_id: str) -> None:
        run = self._open.pop(trial_id, None)
        if run is not None:
            run.close()

    def _has_all(self, name: str, reached: int, status: str, start: str) -> bool:
        sent = self._record.trials.get(name)
        return sent is not None and (sent.epoch, sent.status, sent.started_at) == (reached, status, start)

    def _send(self, news: News) -> int:
        """Sends one trial; returns how many epochs of it were new."""
        trial, start = news.trial, news.start
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
            for epoch, values, moment in news.epochs:
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


def trial_news(frames: Frames, has_all: HasAll) -> Iterator[News]:
    """Yields the trials of the search of which the tracker has not all."""
    last = frames.epochs.groupby("trial_id", observed=True)["epoch"].max()
    by_trial = frames.epochs.groupby("trial_id", observed=True, sort=False)
    trials = frames.trials
    reached = trials["trial_id"].map(last).fillna(0).astype(int)
    rows = zip(trials["trial_id"], reached, trials["status"], trials["started_at"], strict=True)
    for place, (name, epoch, status, start) in enumerate(rows):
        if not has_all(name, epoch, status, str(start)):
            trial = tracked_trial(trials.iloc[place])
            epochs = by_trial.get_group(name) if epoch else frames.epochs.iloc[:0]
            yield News(trial, list(measured_epochs(trial, epochs)), str(start))


def tracked_trial(row: pd.Series[Any]) -> TrackedTrial:
    """A trial from its row, without what has no value."""
    values = plain_values(row)
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


def measured_epochs(trial: TrackedTrial, epochs: pd.DataFrame) -> Iterator[Measured]:
    """Each epoch with its figures, and when it ended if the trial never waited: the tables do not say."""
    spent = epochs["epoch_seconds"].fillna(0).astype(float).cumsum()
    for (_, row), seconds in zip(epochs.iterrows(), spent, strict=True):
        figures = {name: float(row[name]) for name in FIGURES if name in row.index and not pd.isna(row[name])}
        start = trial.started_at or datetime.fromtimestamp(0, UTC)
        yield int(row["epoch"]), figures, start + timedelta(seconds=seconds)
