"""What a sweep spent, on which trials and devices, and what a point of accuracy cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cifar_tune.analysis.confirmation import confirmed
from cifar_tune.analysis.repeats import duplicates
from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import COMPLETED, STATUSES, TRAIN

COLUMNS = ["status", "device_name", "trials", "epochs", "train_seconds", "gpu_seconds", "share"]
OF_DUPLICATES = ["duplicates", "duplicate_train_seconds", "duplicate_gpu_seconds"]
UNKNOWN = "not known"
HOUR = 3600.0


def cost(trials: pd.DataFrame, prices: Mapping[str, float] | None = None) -> pd.DataFrame:
    """One row a status and device: trials, epochs, seconds of training and of GPUs, and the share of all training.

    duplicates: how many of these trials repeat an earlier one's configuration with another seed (`repeats.duplicates`),
    and what they took.
    prices: of each `device_name`, for an hour of one GPU, or of training where it is none; adds `money`.

    Raises:
        AnalysisError: a device has no price.
    """
    known = trials.assign(
        device_name=trials["device_name"].astype(object).fillna(UNKNOWN),
        status=pd.Categorical(trials["status"], categories=STATUSES),
        duplicates=(again := duplicates(trials)),
        duplicate_train_seconds=trials["train_seconds"].where(again),
        duplicate_gpu_seconds=trials["gpu_seconds"].where(again),
    )
    table = (
        known.groupby(["status", "device_name"], observed=True)
        .agg(
            trials=("trial_id", "size"),
            epochs=("epochs_trained", "sum"),
            train_seconds=("train_seconds", "sum"),
            gpu_seconds=("gpu_seconds", "sum"),
            **{name: (name, "sum") for name in OF_DUPLICATES},
        )
        .reset_index()
    )
    total = table["train_seconds"].sum()
    table["share"] = table["train_seconds"] / total if total else float("nan")
    if prices is None:
        return table[[*COLUMNS, *OF_DUPLICATES]]
    return table.assign(money=_device_hours(table) * table["device_name"].map(_price_of(table, prices)))[
        [*COLUMNS, *OF_DUPLICATES, "money"]
    ]


def _device_hours(table: pd.DataFrame) -> pd.Series[float]:
    """Hours of GPUs, or of training where there is none."""
    on_gpu = table["gpu_seconds"] > 0
    return table["gpu_seconds"].where(on_gpu, table["train_seconds"]).astype(float) / HOUR


def _price_of(table: pd.DataFrame, prices: Mapping[str, float]) -> dict[str, float]:
    free = {UNKNOWN} if not table.loc[table["device_name"] == UNKNOWN, "train_seconds"].any() else set()
    missing = sorted(set(table["device_name"]) - set(prices) - free)
    if missing:
        given = ", ".join(f"`{name}`" for name in prices) or "none"
        raise AnalysisError(f"no price for `{missing[0]}`; there are prices for {given}")
    return {**dict.fromkeys(free, 0.0), **prices}


def cost_of_accuracy(
    trials: pd.DataFrame, confirmations: pd.DataFrame, prices: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """One row: what the search spent for each point by which the confirmed best beats the baseline.

    hours: of GPUs, or of training where there is none. confirmed: mean of the best configuration over fresh seeds, on
    the validation split of the search. baseline: likewise if it was confirmed, else as the search saw it (`baseline_is`
    says which; of several cells the best). points: in percent; hours_per_point and money_per_point are missing where
    nothing was gained. Empty without a confirmation on the validation split or without a completed baseline.

    Raises:
        AnalysisError: a device has no price.
    """
    columns = ["hours", "confirmed", "baseline", "baseline_is", "points", "hours_per_point"]
    spent = cost(trials, prices)
    marked = trials["baseline"].astype("boolean").fillna(False).astype(bool)
    baselines = trials[marked & (trials["status"] == COMPLETED)].set_index("trial_id")["validation_accuracy"].dropna()
    table = confirmed(confirmations, trials) if len(confirmations) else pd.DataFrame()
    means = pd.Series(dtype=float)
    if len(table):
        table = table[table["trained_on"] == TRAIN]
        means = table.set_index("trial_id")["validation_accuracy_mean"].dropna()
    if means.empty or baselines.empty:
        return pd.DataFrame(columns=[*columns, *([] if prices is None else ["money", "money_per_point"])])
    of_baseline = means[means.index.isin(baselines.index)]
    reference, how = (of_baseline.max(), "confirmed") if len(of_baseline) else (baselines.max(), "as searched")
    hours, points = float(_device_hours(spent).sum()), 100 * float(means.max() - reference)
    gained = points if points > 0 else np.nan
    row = (hours, float(means.max()), float(reference), how, points, hours / gained)
    found = pd.DataFrame([row], columns=columns)
    if prices is None:
        return found
    money = float(spent["money"].sum())
    return found.assign(money=money, money_per_point=money / gained)


def cost_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `cost` for people: what duplicates took stands in it only if there are any."""
    return table if table["duplicates"].any() else table.drop(columns=OF_DUPLICATES)


def point_text(found: pd.DataFrame) -> str | None:
    """What `cost_of_accuracy` found, in a sentence; None where it found nothing."""
    if found.empty:
        return None
    row = found.iloc[0]
    lead = f"the confirmed best is {row['points']:+.2f} points from the baseline ({row['baseline_is']})"
    if pd.isna(row["hours_per_point"]):
        return f"The sweep spent {row['hours']:.3g} device hours; {lead}."
    return f"The sweep spent {row['hours']:.3g} device hours, {row['hours_per_point']:.3g} for each point: {lead}."
