"""Recorded runs, read from tables.

Two forms are understood: a results folder of ours (or its epochs.parquet), and one table with a row for each run and
epoch: `run_id, hp_* (the configuration), epoch, val_acc or val_loss`, and as far as known `max_epochs, status (ok |
diverged), train_loss, seconds`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.config.objective import Metric
from cifar_tune.errors import AnalysisError
from cifar_tune.layout import EPOCHS_NAME, TRIALS_NAME
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX, DIVERGED
from cifar_tune.search.simulate.recordings import FEWEST_RUNS, Recording, Run, domain_of

FOREIGN_PREFIX = "hp_"

FOREIGN_METRICS: Mapping[Metric, str] = {"validation_accuracy": "val_acc", "validation_loss": "val_loss"}
"""Columns of the other form, by our names."""

STATUSES = ("ok", "diverged")
"""Of the other form."""

NOT_SEARCHED = ("seed", "epochs")
"""Values of our trials that no sweep varies; a sweep that was extended has trials of several lengths."""

NUMBERS = ("epoch", "max_epochs", "seconds", "train_loss")
"""Of the other form, beside the objective."""

MOST_EPOCHS = 100_000
"""Of a run: each takes memory, whether it has a row or not."""

SECONDS_UNKNOWN = 1.0
"""What an epoch takes where the table has no time at all: all the same."""

Floats = NDArray[np.float64]


def read_recording(path: Path, metric: Metric = "validation_accuracy") -> Recording:
    """Reads recorded runs. metric: the objective.

    Raises:
        AnalysisError: no such table, columns missing, fewer than two runs to replay, or nothing that differs in them.
    """
    folder = path.parent if path.name == EPOCHS_NAME else path
    if (folder / EPOCHS_NAME).is_file() and (folder / TRIALS_NAME).is_file():
        runs = _own_runs(folder, metric)
    elif path.is_file():
        runs = _foreign_runs(path, metric)
    else:
        raise AnalysisError(f"{path}: neither a results folder nor a table of recorded runs")
    whole = [run for run in runs if not run.diverged]
    if len(whole) < FEWEST_RUNS:
        raise AnalysisError(f"{path}: {len(whole)} runs that were trained to the end; a replay needs {FEWEST_RUNS}")
    values = {name: [run.configuration[name] for run in runs] for name in runs[0].configuration}
    search = {name: domain for name, column in values.items() if (domain := domain_of(column)) is not None}
    if not search:
        raise AnalysisError(f"{path}: all runs have the same configuration; there is nothing to search")
    return Recording(folder.name if folder == path and path.is_dir() else path.stem, runs, search)


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path}: is not a parquet table: {error}") from error


def _check_columns(path: Path, table: pd.DataFrame, *wanted: str) -> None:
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise AnalysisError(
            f"{path}: lacks the columns {', '.join(missing)}; see `python -m cifar_tune.simulate --help`"
        )


def _numeric(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Returns those of these columns that the table has. Raises AnalysisError where one holds anything but numbers."""
    there = [column for column in columns if column in table]
    for column in there:
        known = table[column].dropna()
        wrong = known[[isinstance(one, bool) or not isinstance(one, numbers.Real) for one in known.tolist()]]
        if len(wrong):
            raise AnalysisError(f"{path}: {column} must hold numbers, got {wrong.iloc[0]!r}")
    return there


def _check_epochs(path: Path, table: pd.DataFrame) -> None:
    """Raises AnalysisError where an epoch is none, or a row says of no run what it is of."""
    epochs = table["epoch"]
    wrong = table[epochs.isna() | (epochs % 1 != 0) | (epochs > MOST_EPOCHS) | (epochs < 0)]
    if len(wrong):
        raise AnalysisError(
            f"{path}: epoch must be a whole number from 0 (before training) to {MOST_EPOCHS:,}, got"
            f" {wrong['epoch'].iloc[0]:g} in run {wrong['run_id'].iloc[0]}"
        )
    if table["run_id"].isna().any():
        raise AnalysisError(f"{path}: run_id is missing in {int(table['run_id'].isna().sum())} of {len(table)} rows")


def _check_configurations(path: Path, table: pd.DataFrame) -> None:
    """Raises AnalysisError where a run has several values of a parameter, or one that is infinite."""
    for column in (name for name in map(str, table) if name.startswith(FOREIGN_PREFIX)):
        if pd.api.types.is_float_dtype(table[column]) and np.isinf(table[column].to_numpy(float, na_value=0.0)).any():
            raise AnalysisError(f"{path}: {column} must be finite, or missing where it does not apply; got infinity")
        values = table[column].map(_plain).groupby(table["run_id"]).nunique()
        if (values > 1).any():
            raise AnalysisError(f"{path}: run {values.idxmax()} has {values.max()} values of {column}; it may have one")


def _own_runs(folder: Path, metric: Metric) -> list[Run]:
    trials, epochs = _table(folder / TRIALS_NAME), _table(folder / EPOCHS_NAME)
    _check_columns(folder / TRIALS_NAME, trials, "trial_id", "status", f"{CONFIGURATION_PREFIX}epochs")
    _check_columns(folder / EPOCHS_NAME, epochs, "trial_id", "epoch", metric, "epoch_seconds")
    names = {
        column: column.removeprefix(CONFIGURATION_PREFIX)
        for column in trials.columns
        if column.startswith(CONFIGURATION_PREFIX) and column.removeprefix(CONFIGURATION_PREFIX) not in NOT_SEARCHED
    }
    ended = trials[trials["status"].isin([COMPLETED, DIVERGED])]
    curves = dict(tuple(epochs.groupby("trial_id")))
    typical = _typical(epochs["epoch_seconds"].to_numpy(float))
    return [
        _run(
            {name: _plain(row[column]) for column, name in names.items()},
            int(row[f"{CONFIGURATION_PREFIX}epochs"]),
            *_by_epoch(folder / EPOCHS_NAME, row["trial_id"], curves[row["trial_id"]], metric, "epoch_seconds"),
            typical=typical,
            diverged=row["status"] == DIVERGED,
        )
        for row in ended.to_dict("records")
        if row["trial_id"] in curves
    ]


def _foreign_runs(path: Path, metric: Metric) -> list[Run]:
    table = _table(path)
    value = FOREIGN_METRICS[metric]
    _check_columns(path, table, "run_id", "epoch", value)
    table = table.astype(dict.fromkeys(_numeric(path, table, (*NUMBERS, value)), float))
    _check_epochs(path, table)
    _check_configurations(path, table)
    names = {
        column: column.removeprefix(FOREIGN_PREFIX) for column in map(str, table) if column.startswith(FOREIGN_PREFIX)
    }
    unknown = set(table["status"].dropna().unique()) - {*STATUSES} if "status" in table else set()
    if unknown:
        told = ", ".join(sorted(map(str, unknown)))
        raise AnalysisError(f"{path}: status must be {' or '.join(STATUSES)}, got {told}")
    table = table[table["epoch"] >= 1].reset_index(drop=True)
    table["seconds"] = table.get("seconds", math.nan)
    typical = _typical(table["seconds"].to_numpy(float))
    longest = int(table["epoch"].max()) if len(table) else 0
    found = []
    for run, rows in table.groupby("run_id", sort=True):
        first = rows.iloc[0]
        values, seconds = _by_epoch(path, run, rows, value, "seconds")
        known = first["max_epochs"] if "max_epochs" in table else math.nan
        planned = longest if math.isnan(known) else int(known)
        losses = _by_epoch(path, run, rows, "train_loss")[0] if "train_loss" in table else None
        broken = _broken(_plain(first.get("status")), values, losses)
        diverged = broken is not None and broken < planned
        found.append(
            _run(
                {name: _plain(first[column]) for column, name in names.items()},
                planned if diverged else len(values),
                values[:broken] if diverged else values,
                seconds[: broken + 1] if diverged and broken is not None else seconds,
                typical=typical,
                diverged=diverged,
            )
        )
    return found


def _broken(status: str | None, values: Floats, losses: Floats | None) -> int | None:
    """Returns how many epochs a run did before it diverged; None where it did not.

    Where no status is recorded, a run diverged if its last value is not finite.
    """
    bad = ~np.isfinite(values)
    if bad.all():
        return 0
    if status is None:
        return int(np.flatnonzero(~bad)[-1]) + 1 if bad[-1] else None
    if status == "ok":
        return None
    if losses is not None and np.isfinite(losses).any():
        bad |= ~np.isfinite(losses)
    return int(bad.argmax()) if bad.any() else len(bad)


def _by_epoch(path: Path, run: object, rows: pd.DataFrame, *columns: str) -> list[Floats]:
    """Returns columns of one run, from epoch 1 to its last; NaN where an epoch has no row."""
    epochs = rows["epoch"].to_numpy(int)
    if len(set(epochs.tolist())) < len(epochs):
        raise AnalysisError(f"{path}: run {run!s} has an epoch twice; it may have one row each")
    found = []
    for column in columns:
        values = np.full(epochs.max(), np.nan)
        values[epochs - 1] = rows[column].to_numpy(float)
        found.append(values)
    return found


def _typical(seconds: Floats) -> float:
    """Returns the median of the times that are known."""
    known = seconds[np.isfinite(seconds) & (seconds > 0)]
    return float(np.median(known)) if known.size else SECONDS_UNKNOWN


def _run(
    configuration: Mapping[str, Any],
    epochs: int,
    values: Floats,
    seconds: Floats,
    *,
    typical: float,
    diverged: bool,
) -> Run:
    """Returns a run. An epoch of unknown time takes what others of the run take, or what is `typical` of the table."""
    values = np.where(np.isfinite(values), values, np.nan)
    known = np.isfinite(seconds) & (seconds > 0)
    seconds = np.where(known, seconds, np.median(seconds[known]) if known.any() else typical)
    if diverged and len(seconds) == len(values):
        seconds = np.append(seconds, seconds[-1] if len(seconds) else typical)
    return Run(configuration, epochs, tuple(values.tolist()), tuple(seconds.tolist()), diverged)


def _plain(value: Any) -> Any:
    """A value of a table as Python has it; None where there is none."""
    if isinstance(value, list | tuple | dict | np.ndarray):
        return str(value)
    if pd.isna(value):
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, bool | int | float | str) else str(plain)
