"""What a sweep spent, on which trials and devices."""

from __future__ import annotations

import pandas as pd

from cifar_tune.results.columns import STATUSES

COLUMNS = ["status", "device_name", "trials", "epochs", "train_seconds", "gpu_seconds", "share"]


def cost(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a status and device: trials, epochs, seconds of training and of GPUs, and the share of all training."""
    known = trials.assign(
        device_name=trials["device_name"].astype(object).fillna("not known"),
        status=pd.Categorical(trials["status"], categories=STATUSES),
    )
    table = (
        known.groupby(["status", "device_name"], observed=True)
        .agg(
            trials=("trial_id", "size"),
            epochs=("epochs_trained", "sum"),
            train_seconds=("train_seconds", "sum"),
            gpu_seconds=("gpu_seconds", "sum"),
        )
        .reset_index()
    )
    total = table["train_seconds"].sum()
    table["share"] = table["train_seconds"] / total if total else float("nan")
    return table[COLUMNS]
