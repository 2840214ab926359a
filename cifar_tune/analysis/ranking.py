"""The best trials, and how many there are of each kind."""

from __future__ import annotations

import pandas as pd

from cifar_tune.analysis.few_images import few_images, interval_text
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.naming import more_is_better
from cifar_tune.analysis.parameters import SEEDS, varied_parameters
from cifar_tune.analysis.repeats import configuration_of, seed_means
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX, DIVERGED, FAILED, STATUSES

WHOLE = f"{CONFIGURATION_PREFIX}epochs"
"""Column of the epochs that a trial was to have."""

UNKNOWN = "of unknown status"
"""Trials saved from a damaged folder."""


def ranking(
    trials: pd.DataFrame,
    metric: str = "validation_accuracy",
    *,
    top: int | None = None,
    sweep: SweepFile | None = None,
    by_seed: bool = False,
) -> pd.DataFrame:
    """The completed trials, best first: rank, trial, metric, epochs, seconds, and the parameters that vary.

    Only completed trials rank: one that was stopped has the value of an earlier epoch. Equal values share a rank.
    Trials that differ in nothing but their seed are one row, named by the first of them, with the means of metric and
    seconds, and their number `n`. Where there are few validation images, `interval` is the 95 % interval in percent.

    Args:
        trials: Rows of trials.parquet.
        metric: As it stands at the last epoch, unless it is a `best_` one.
        top: How many rows; None for all.
        sweep: Says what was varied; None where it is not known.
        by_seed: Every trial is a row of its own, as where its checkpoint is wanted.

    Raises:
        AnalysisError: no such metric.
    """
    metric = known_metric(trials, metric)
    completed = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    completed = completed if by_seed else _averaged(completed, metric)
    rank = completed[metric].rank(method="min", ascending=not more_is_better(metric)).astype(int)
    ordered = completed.assign(rank=rank).sort_values(["rank", "trial_id"], kind="stable")
    several = ["sweep"] if trials["sweep"].nunique() > 1 else []
    averaged = [name for name in ("n", "interval") if name in completed.columns and not by_seed]
    columns = ["rank", *several, "trial_id", metric, *averaged, "epochs_trained", "train_seconds"]
    told = [WHOLE] if WHOLE in completed and (completed[WHOLE] == completed["epochs_trained"]).all() else []
    left_out = (*columns, *told, *(SEEDS if "n" in averaged else ()))
    columns += [column for column in varied_parameters(trials, sweep) if column not in left_out]
    return ordered[list(dict.fromkeys(columns))].head(len(ordered) if top is None else top).reset_index(drop=True)


def _averaged(completed: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Returns one row a configuration, with `n` if any has several seeds, and `interval` if there are few images."""
    of = configuration_of(completed)
    images = few_images(completed, metric)
    rows = completed[~of.duplicated()]
    if len(rows) < len(completed):
        means = seed_means(completed, dict.fromkeys([metric, "train_seconds"])).loc[rows.index]
        rows = rows.assign(n=of.value_counts().loc[of[rows.index]].to_numpy(), **means)
    if images is not None and len(rows):
        intervals = completed.groupby(of)[metric].agg(lambda values: interval_text(values, images))
        rows = rows.assign(interval=intervals.loc[of[rows.index]].to_numpy())
    return rows


def furthest(
    trials: pd.DataFrame, metric: str = "validation_accuracy", *, top: int, sweep: SweepFile | None = None
) -> pd.DataFrame:
    """The trials that got furthest, completed or not, of those at the same epoch the better first.

    Raises:
        AnalysisError: no such metric.
    """
    metric = known_metric(trials, metric)
    begun = trials[(trials["epochs_trained"] > 0) & trials[metric].notna()]
    ordered = begun.sort_values(["epochs_trained", metric], ascending=[False, not more_is_better(metric)])
    columns = ["trial_id", "status", metric, "epochs_trained", "train_seconds", *varied_parameters(trials, sweep)]
    return ordered[list(dict.fromkeys(columns))].head(top).reset_index(drop=True)


def status_counts(trials: pd.DataFrame) -> dict[str, int]:
    """How many trials there are of each status that occurs, in the order of the statuses, and without one."""
    counts = trials["status"].value_counts()
    known = {status: int(counts[status]) for status in STATUSES if counts.get(status, 0)}
    lost = int(trials["status"].isna().sum())
    return known | ({UNKNOWN: lost} if lost else {})


def failures(trials: pd.DataFrame) -> pd.DataFrame:
    """Why trials failed or diverged: status, message, how many, the first of them; the most frequent first."""
    ended = trials[trials["status"].isin([FAILED, DIVERGED])]
    text = ended["error"].fillna(ended["status_reason"]).fillna("no message")
    last_line = text.astype(str).str.strip().str.rsplit("\n", n=1).str[-1]
    grouped = ended.assign(message=last_line).groupby(["status", "message"], observed=True)["trial_id"]
    return grouped.agg(trials="size", trial_id="first").reset_index().sort_values("trials", ascending=False)
