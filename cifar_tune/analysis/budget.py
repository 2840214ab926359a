"""Equal budgets: what each trial had reached at the same epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import COMPLETED

BEST = "best_"


def common_keys(trials: pd.DataFrame, epochs: pd.DataFrame) -> list[str]:
    """What names a trial in both frames; epochs.parquet itself has no `sweep`."""
    return [key for key in ("sweep", "trial_id") if key in trials.columns and key in epochs.columns]


def reached_epochs(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.Series[int]:
    """The last epoch of each trial, 0 before the first; indexed like `trials`."""
    last = _by_trial(trials, epochs)["epoch"].max()
    return _of_trials(trials, epochs, last).fillna(0).astype(int)


def values_at(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, epoch: int) -> pd.Series[float]:
    """The metric of each trial as it stood at an epoch, NaN for trials that did not get there; indexed like `trials`.

    Of epochs that skipped validation the last value before counts. `best_...` is the best up to the epoch.
    """
    by_trial = _by_trial(trials, epochs[epochs["epoch"] <= epoch])
    column = by_trial[metric.removeprefix(BEST)]
    values = column.max() if metric.startswith(BEST) else column.last()
    return _of_trials(trials, epochs, values).astype(float).where(reached_epochs(trials, epochs) >= epoch)


def measured_by_epoch(epochs: pd.DataFrame | None, metric: str) -> bool:
    """Whether the epochs hold the metric, so that trials can be compared at an equal one."""
    return epochs is not None and metric.removeprefix(BEST) in epochs.columns


def final_epoch(trials: pd.DataFrame, epochs: pd.DataFrame) -> int | None:
    """The epoch that every completed trial reached, those left out that were trained anew with more epochs since.

    None if no trial completed.
    """
    whole = trials["status"] == COMPLETED
    latest = whole & trials.index.isin(since_restart(trials).index)
    completed = reached_epochs(trials, epochs)[latest if latest.any() else whole]
    return int(completed.min()) if len(completed) and completed.min() > 0 else None


def restarts_of(trials: pd.DataFrame) -> pd.Series[int]:
    """How often the sweep had been restarted with more epochs when each trial was proposed."""
    if "restarts" not in trials.columns:
        return pd.Series(0, index=trials.index)
    return trials["restarts"].fillna(0).astype(int)


def since_restart(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that were proposed since the last restart of their sweep: at rungs, only these are compared."""
    restarts = restarts_of(trials)
    last = restarts.groupby(trials["sweep"]).transform("max") if "sweep" in trials.columns else restarts.max()
    return trials[restarts == last]


def given_epoch(
    trials: pd.DataFrame, epochs: pd.DataFrame | None, metric: str, at_epoch: int
) -> tuple[pd.DataFrame, str, int]:
    """The epochs, the metric and the epoch, if some trial can be compared there.

    Raises:
        AnalysisError: none can; says why.
    """
    if epochs is None or not measured_by_epoch(epochs, metric):
        why = "the epochs table was not given" if epochs is None else f"`{metric}` is not measured by epoch"
        raise AnalysisError(f"trials cannot be compared at epoch {at_epoch}: {why}")
    furthest = reached_epochs(trials, epochs)
    most = int(furthest.max()) if len(furthest) else 0
    if not 1 <= at_epoch <= most:
        reached = f"trials reached epochs 1 to {most}" if most else "no trial has finished an epoch"
        raise AnalysisError(f"no trial can be compared at epoch {at_epoch}; {reached}")
    return epochs, metric, at_epoch


def _by_trial(trials: pd.DataFrame, epochs: pd.DataFrame) -> Any:
    return epochs.groupby(common_keys(trials, epochs), observed=True)


def _of_trials(trials: pd.DataFrame, epochs: pd.DataFrame, values: pd.Series[Any]) -> pd.Series[Any]:
    """Values by trial, in the order and with the index of `trials`."""
    names = list(zip(*(trials[key].astype(object) for key in common_keys(trials, epochs)), strict=True))
    known = {name if isinstance(name, tuple) else (name,): value for name, value in values.items()}
    return pd.Series([known.get(name) for name in names], index=trials.index, dtype=float)
