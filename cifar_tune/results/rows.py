"""Everything a ledger says, in memory: trials and their epochs.

The store fills it as events happen, a reader by replaying them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from cifar_tune.layout import EPOCHS_NAME, TRIALS_NAME
from cifar_tune.results.arrow import table
from cifar_tune.results.columns import INTERRUPTED, RUNNING
from cifar_tune.results.epoch_rows import EpochRows
from cifar_tune.results.outcome import NEEDED, outcomes
from cifar_tune.results.trial_rows import TrialRows

DRIVER_DIED = "the sweep was killed while the trial was running"


class Rows:
    """Both tables of one sweep."""

    def __init__(self, sweep_name: str) -> None:
        self.sweep_name = sweep_name
        self.trials = TrialRows()
        self.epochs = EpochRows()

    def merge_trial(self, trial_id: str, values: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
        """Sets checked values of a trial, new or known."""
        if trial_id not in self.trials.places:
            self.epochs.add_trial(trial_id)
            values = {"sweep": self.sweep_name, **values}
        self.trials.merge(trial_id, values, configuration)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes in an event of the ledger after its first; values were checked before they were recorded."""
        if event["event"] == "epoch":
            self.epochs.add(event["trial_id"], event["epoch"], event["values"])
        elif event["event"] == "trial":
            self.merge_trial(event["trial_id"], self.trials.check(event["values"]), event["configuration"])
        elif event["event"] == "opened":
            self.interrupt_running(DRIVER_DIED)

    def interrupt_running(self, reason: str) -> None:
        """Marks every trial that still counts as running: its driver is gone."""
        for trial_id in self.trials.where("status", RUNNING):
            self.trials.merge(trial_id, {"status": INTERRUPTED, "status_reason": reason}, {})

    def trial(self, trial_id: str) -> dict[str, Any]:
        """Every value of a trial, those that follow from its epochs included.

        Raises:
            ResultsError: no such trial.
        """
        row = self.trials.row(trial_id)
        numbers = self.epochs.numbers(NEEDED, trial_id)
        derived = outcomes(np.array([len(numbers["epoch"])]), numbers)
        return row | {name: values[0].as_py() for name, values in derived.items()}

    def groups(self, name: str) -> Callable[[], Iterator[pa.Table]]:
        """What yields a table in groups of rows, by the name of its file."""
        return {TRIALS_NAME: lambda: iter([self.trial_table()]), EPOCHS_NAME: self.epoch_groups}[name]

    def trial_table(self) -> pa.Table:
        """trials.parquet."""
        derived = outcomes(self.epochs.lengths(), self.epochs.numbers(NEEDED))
        return table(self.sweep_name, self.trials.to_arrow(derived))

    def epoch_groups(self) -> Iterator[pa.Table]:
        """Yields epochs.parquet in groups of rows."""
        for columns in self.epochs.to_arrow():
            yield table(self.sweep_name, columns)

    def epoch_table(self) -> pa.Table:
        """epochs.parquet."""
        return pa.concat_tables(self.epoch_groups())


def replay(events: Iterable[Mapping[str, Any]]) -> Rows:
    """The rows after all events; the first event names the sweep."""
    stream = iter(events)
    rows = Rows(next(stream)["sweep"])
    for event in stream:
        rows.apply(event)
    return rows
