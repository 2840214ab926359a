"""Recorded learning curves, read so that a search can be replayed on them.

Two forms are understood: a results folder of ours (or its epochs.parquet), and one table with a row for each run and
epoch: `run_id, hp_* (the configuration), max_epochs, status (ok | diverged), epoch, val_acc, train_loss, seconds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.config.domains import ChoiceDomain, Domain, FloatDomain, IntDomain
from cifar_tune.config.objective import Metric
from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX, DIVERGED, EPOCHS_NAME, TRIALS_NAME

FOREIGN_COLUMNS = ("run_id", "max_epochs", "status", "epoch", "val_acc")
FOREIGN_PREFIX = "hp_"

FEWEST_RUNS = 2

SECONDS_UNKNOWN = 1.0
"""What an epoch takes where that was not recorded: all the same."""


@dataclass(frozen=True)
class Run:
    """One recorded trial. epochs: it would have had, had it not diverged. values: by epoch, NaN where not validated.

    configuration: None where a value does not apply. seconds: by epoch, that in which it diverged included.
    """

    configuration: Mapping[str, Any]
    epochs: int
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    diverged: bool

    @property
    def final(self) -> float:
        """The last value, which counts; NaN of a run that diverged."""
        return math.nan if self.diverged else next(value for value in reversed(self.values) if not math.isnan(value))


@dataclass(frozen=True)
class Recording:
    """Runs, and the space that they came from. name: of the table."""

    name: str
    runs: Sequence[Run]
    search: Mapping[str, Domain]

    @property
    def epochs(self) -> int:
        """Of the longest run."""
        return max(run.epochs for run in self.runs)

    @property
    def full_cost(self) -> float:
        """Median seconds of the runs that did not diverge."""
        return float(np.median([sum(run.seconds) for run in self.runs if not run.diverged]))

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        return np.array([self._place(run.configuration) for run in self.runs])

    def nearest(self, configuration: Mapping[str, Any], free: NDArray[np.bool_]) -> int:
        """Returns which of the free runs is nearest: each range has length 1, and so has the way between two options.

        A parameter that a run does not have counts for nothing.
        """
        gaps = self._places - np.array(self._place(configuration))
        distances = np.where(np.isnan(gaps), 0.0, gaps**2).sum(axis=1)
        return int(np.where(free, distances, np.inf).argmin())

    def _place(self, configuration: Mapping[str, Any]) -> list[float]:
        place: list[float] = []
        for name, domain in self.search.items():
            value = configuration[name]
            if isinstance(domain, ChoiceDomain):
                place += [math.sqrt(0.5) * (value == option) for option in domain.choice]
            elif value is None:
                place.append(math.nan)
            else:
                scale = math.log if domain.log else float
                low, high = scale(domain.low), scale(domain.high)
                place.append((scale(value) - low) / (high - low))
        return place


def read_recording(path: Path, metric: Metric = "validation_accuracy") -> Recording:
    """Reads recorded runs. metric: the objective, of our own tables; of others it is `val_acc`.

    Raises:
        AnalysisError: no such table, columns missing, fewer than two runs to replay, or nothing that differs in them.
    """
    folder = path.parent if path.name == EPOCHS_NAME else path
    if (folder / EPOCHS_NAME).is_file() and (folder / TRIALS_NAME).is_file():
        runs = _own_runs(folder, metric)
    elif path.is_file():
        runs = _foreign_runs(path)
    else:
        raise AnalysisError(f"{path}: neither a results folder nor a table of recorded runs")
    whole = [run for run in runs if not run.diverged]
    if len(whole) < FEWEST_RUNS:
        raise AnalysisError(f"{path}: {len(whole)} runs that were trained to the end; a replay needs {FEWEST_RUNS}")
    search = {name: domain for name in runs[0].configuration if (domain := _domain(name, runs)) is not None}
    if not search:
        raise AnalysisError(f"{path}: all runs have the same configuration; there is nothing to search")
    return Recording(folder.name if folder == path and path.is_dir() else path.stem, runs, search)


def _own_runs(folder: Path, metric: Metric) -> list[Run]:
    trials = pd.read_parquet(folder / TRIALS_NAME)
    trials = trials[trials["status"].isin([COMPLETED, DIVERGED])]
    epochs = pd.read_parquet(folder / EPOCHS_NAME, columns=["trial_id", "epoch", metric, "epoch_seconds"])
    names = {
        column: column.removeprefix(CONFIGURATION_PREFIX)
        for column in trials.columns
        if column.startswith(CONFIGURATION_PREFIX) and column != f"{CONFIGURATION_PREFIX}seed"
    }
    curves = dict(tuple(epochs.sort_values("epoch").groupby("trial_id")))
    return [
        _run(
            {name: _plain(row[column]) for column, name in names.items()},
            int(row[f"{CONFIGURATION_PREFIX}epochs"]),
            curves[row["trial_id"]][metric].to_numpy(float),
            curves[row["trial_id"]]["epoch_seconds"].to_numpy(float),
            diverged=row["status"] == DIVERGED,
        )
        for row in trials.to_dict("records")
        if row["trial_id"] in curves
    ]


def _foreign_runs(path: Path) -> list[Run]:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path}: is no parquet table: {error}") from error
    missing = [column for column in FOREIGN_COLUMNS if column not in table.columns]
    if missing:
        raise AnalysisError(
            f"{path}: lacks the columns {', '.join(missing)}; see `python -m cifar_tune.simulate --help`"
        )
    names = {
        column: column.removeprefix(FOREIGN_PREFIX) for column in map(str, table) if column.startswith(FOREIGN_PREFIX)
    }
    table = table[table["epoch"] >= 1].sort_values(["run_id", "epoch"])
    found = []
    for _, rows in table.groupby("run_id"):
        first = rows.iloc[0]
        values = rows["val_acc"].to_numpy(float)
        seconds = rows["seconds"].to_numpy(float) if "seconds" in rows else np.full(len(values), np.nan)
        planned = int(first["max_epochs"])
        last = len(values)
        if first["status"] == "diverged":
            broken = ~np.isfinite(values)
            if "train_loss" in rows and rows["train_loss"].notna().any():
                broken |= ~np.isfinite(rows["train_loss"].to_numpy(float))
            last = int(broken.argmax()) if broken.any() else last
        diverged = first["status"] == "diverged" and last < planned
        found.append(
            _run(
                {name: _plain(first[column]) for column, name in names.items()},
                planned if diverged else len(values),
                values[:last],
                seconds[: last + 1],
                diverged=diverged,
            )
        )
    return found


def _run(
    configuration: Mapping[str, Any],
    epochs: int,
    values: NDArray[np.float64],
    seconds: NDArray[np.float64],
    *,
    diverged: bool,
) -> Run:
    seconds = np.where(np.isfinite(seconds), seconds, SECONDS_UNKNOWN)
    if diverged and len(seconds) == len(values):
        seconds = np.append(seconds, seconds[-1] if len(seconds) else SECONDS_UNKNOWN)
    return Run(configuration, epochs, tuple(values.tolist()), tuple(seconds.tolist()), diverged)


def _plain(value: Any) -> Any:
    """A value of a table as Python has it; None where there is none."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _domain(name: str, runs: Sequence[Run]) -> Domain | None:
    """Returns what the recorded values of a parameter range over; None where they are all one."""
    values = [run.configuration[name] for run in runs if run.configuration[name] is not None]
    kinds = {type(value) for value in values}
    if len(set(values)) < FEWEST_RUNS:
        return None
    if not kinds <= {int, float}:
        return ChoiceDomain(choice=tuple(sorted(set(values), key=str)))
    low, high = min(values), max(values)
    log = low > 0 and _unevenness([math.log(value) for value in values]) < _unevenness(values)
    if kinds == {int}:
        return IntDomain.model_validate({"int": (low, high), "log": log})
    return FloatDomain.model_validate({"float": (float(low), float(high)), "log": log})


def _unevenness(values: Sequence[float]) -> float:
    """Returns the largest gap between the values' distribution and an even one over their range, in [0, 1]."""
    spread = np.sort((np.array(values) - min(values)) / (max(values) - min(values)))
    ranks = np.arange(len(spread)) / len(spread)
    return float(max(np.abs(spread - ranks).max(), np.abs(spread - ranks - 1 / len(spread)).max()))
