"""Configurations that a sweep ran more than once: which trials those are, and the noise between their seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.parameters import SEEDS
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX


def configuration_of(trials: pd.DataFrame) -> pd.Series[int]:
    """Returns a number for each trial, the same for trials of one sweep that differ in nothing but their seed.

    A trial that went on from another's checkpoint, as in a population, has a number of its own.
    """
    columns = [name for name in trials.columns if name.startswith(CONFIGURATION_PREFIX) and name not in SEEDS]
    alone = pd.Series(range(len(trials)), trials.index)
    if not columns or trials.empty:
        return alone
    keys = trials[[*(["sweep"] if "sweep" in trials.columns else []), *columns]].astype(object)
    varying = [name for name in keys.columns if keys[name].nunique(dropna=False) > 1]
    alike = keys.groupby(varying, dropna=False, sort=False).ngroup() if varying else alone * 0
    if "parent" not in trials.columns:
        return alike
    return alike.where(trials["parent"].isna(), -1 - alone)


def duplicates(trials: pd.DataFrame) -> pd.Series[bool]:
    """Which trials have the configuration of an earlier one of their sweep, another seed apart."""
    return configuration_of(trials).duplicated()


def seed_means(trials: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Returns these columns of the completed trials; a trial has the means over all seeds of its configuration."""
    if trials.empty:
        return pd.DataFrame(columns=list(columns), dtype=float)
    completed = trials[trials["status"] == COMPLETED]
    return completed[list(columns)].astype(float).groupby(configuration_of(completed)).transform("mean")


def seed_noise(trials: pd.DataFrame, metric: str) -> tuple[int, int, float] | None:
    """Returns how many configurations completed with several seeds, in how many trials, and the standard deviation.

    It is pooled over the configurations: the root of the mean variance, weighted by seeds less one. None where no
    configuration completed twice.
    """
    completed = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    spread = completed.groupby(configuration_of(completed))[metric].agg(["size", "var"])
    repeated = spread[spread["size"] > 1]
    if repeated.empty:
        return None
    weights = repeated["size"] - 1
    pooled = math.sqrt(float((weights * repeated["var"]).sum() / weights.sum()))
    return len(repeated), int(repeated["size"].sum()), pooled


def seed_noise_text(trials: pd.DataFrame, metric: str) -> str | None:
    """Returns the noise in a sentence; None where there are no repeats."""
    found = seed_noise(trials, metric)
    if found is None:
        return None
    configurations, count, deviation = found
    what = "1 configuration" if configurations == 1 else f"{configurations} configurations"
    return (
        f"{what} ran with several seeds ({count} trials): the standard deviation between seeds is"
        f" {written(metric, deviation)}, in {title(metric)}; smaller differences in rank mean little."
    )
