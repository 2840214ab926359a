"""Rung by rung: how many trials arrived, and how many went on."""

from __future__ import annotations

import pandas as pd

COLUMNS = ["rung", "arrived", "stopped", "went_on", "share"]


def rung_survival(epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a rung: its epoch, trials that arrived, were stopped there and went on, and the share that went on.

    A trial that paused and went on later counts as one that went on.
    """
    keys = [key for key in ("sweep", "trial_id") if key in epochs.columns]
    last = epochs["epoch"] == epochs.groupby(keys, observed=True)["epoch"].transform("max")
    decided = epochs[epochs["rung"].notna()]
    if decided.empty:
        return pd.DataFrame(columns=COLUMNS)
    stopped = (decided["decision"] == "stop") & last
    by_rung = decided.assign(stopped=stopped).groupby("rung")["stopped"]
    table = by_rung.agg(arrived="size", stopped="sum").reset_index().astype(int)
    table["went_on"] = table["arrived"] - table["stopped"]
    table["share"] = table["went_on"] / table["arrived"]
    return table[COLUMNS]
