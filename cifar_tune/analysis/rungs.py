"""Rung by rung: how many trials arrived, and how many went on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cifar_tune.analysis.budget import common_keys, restarts_of

COLUMNS = ["rung", "arrived", "stopped", "went_on", "share"]
APART = ["sweep", "restarts", "bracket"]
"""What tells trials apart that were not compared with each other at the same rung."""


def rung_survival(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a rung: its epoch, trials that arrived, were stopped there and went on, and the share that went on.

    A trial that paused and went on later counts as one that went on. Trials that were not compared are counted apart:
    where there are several sweeps, restarts of one with more epochs, or brackets, a column says which.
    """
    keys = common_keys(trials, epochs)
    last = epochs["epoch"] == epochs.groupby(keys, observed=True)["epoch"].transform("max")
    decided = epochs.assign(stopped=(epochs["decision"] == "stop") & last)[epochs["rung"].notna()]
    if decided.empty:
        return pd.DataFrame(columns=COLUMNS)
    known = trials[keys].astype(object).assign(restarts=restarts_of(trials))
    told = decided.astype(dict.fromkeys(keys, object)).merge(known, on=keys, how="left")
    apart = [name for name in APART if name in told.columns and told[name].nunique(dropna=False) > 1]
    by_rung = told.groupby([*apart, "rung"], observed=True, dropna=False)["stopped"]
    table = by_rung.agg(arrived="size", stopped="sum").reset_index().astype({"rung": int, "stopped": int})
    table["went_on"] = table["arrived"] - table["stopped"]
    table["share"] = table["went_on"] / table["arrived"]
    return table[[*apart, *COLUMNS]]


def at_rung(trials: pd.DataFrame, epochs: pd.DataFrame, study: Any, rung: pd.Series) -> pd.DataFrame:
    """The epochs that were compared at a rung, of the trial's study and bracket, in the order in which they came."""
    restarts = restarts_of(trials)[(trials["trial_id"].astype(str) == rung["trial_id"]).to_numpy()].iloc[0]
    trials = trials[restarts_of(trials) == restarts]
    study_of = trials.assign(trial_id=trials["trial_id"].astype(str)).set_index("trial_id")["study"].astype(object)
    at_rung = epochs[(epochs["rung"] == rung["rung"]) & epochs["trial_id"].astype(str).isin(study_of.index)]
    there = at_rung.assign(study=at_rung["trial_id"].astype(str).map(study_of))
    for column, own in (("bracket", rung["bracket"]), ("study", study)):
        missing: bool = pd.isna(own)
        there = there.loc[there[column].isna() if missing else there[column] == own]
    ordered: pd.DataFrame = there.sort_values("rung_size")
    return ordered
