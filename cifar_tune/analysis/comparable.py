"""Trials whose values may be compared: those that completed, or all as they stood at one epoch."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cifar_tune.analysis.budget import given_epoch, values_at
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.results.columns import COMPLETED


@dataclass(frozen=True)
class Comparable:
    """trials: the rows that count. values: the metric of each, none missing. known: all trials there are.

    epoch: at which they are compared; None: at the end of each completed trial.
    """

    trials: pd.DataFrame
    values: pd.Series[float]
    metric: str
    epoch: int | None
    known: int

    @property
    def told(self) -> str:
        """Which trials count, and of how many."""
        when = f"at epoch {self.epoch}" if self.epoch else "completed trials only"
        return f"{when}: {len(self.trials)} of {self.known} trials"


def comparable(
    trials: pd.DataFrame,
    metric: str = "validation_accuracy",
    epochs: pd.DataFrame | None = None,
    at_epoch: int | None = None,
) -> Comparable:
    """The completed trials, or with `at_epoch` all that reached it; the epochs table is needed for that alone.

    Raises:
        AnalysisError: no such metric, or an epoch at which no trial can be compared.
    """
    metric = known_metric(trials, metric)
    if at_epoch is None:
        values = trials[metric].astype(float).where(trials["status"] == COMPLETED)
    else:
        values = values_at(trials, *given_epoch(trials, epochs, metric, at_epoch))
    counts = values.notna()
    return Comparable(trials[counts], values[counts], metric, at_epoch, len(trials))
