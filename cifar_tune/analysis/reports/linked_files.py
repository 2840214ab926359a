"""What a report's page links to in the results folder: the tables, and the checkpoints of the best trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cifar_tune.analysis.confirmation import rows_of_confirm
from cifar_tune.analysis.pareto import pareto
from cifar_tune.analysis.ranking import ranking
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.layout import CONFIRMATIONS_NAME, ENVIRONMENT_NAME, EPOCHS_NAME, SWEEP_NAME, TRIALS_NAME
from cifar_tune.results.columns import COMPLETED

NAMED = {
    TRIALS_NAME: "trials.parquet: one row a trial",
    EPOCHS_NAME: "epochs.parquet: one row a trial and epoch",
    CONFIRMATIONS_NAME: "confirmations.parquet: one row a configuration and fresh seed",
    SWEEP_NAME: "sweep.yaml: the sweep as it was run",
    ENVIRONMENT_NAME: "environment.json: versions, commit, devices",
    "checkpoints": "checkpoints: one folder a trial",
}
MOST_TRIALS = 5


def linked_files(
    folder: Path, trials: pd.DataFrame, confirmations: pd.DataFrame, metric: str, sweep: SweepFile
) -> dict[str, str]:
    """Paths inside the folder that are there -> what each is; of checkpoints those of the best trials.

    Raises:
        AnalysisError: no such metric.
    """
    front = sweep.objectives and {*sweep.objectives} <= {*trials.columns}
    best = pareto(trials, sweep.objectives) if front else ranking(trials, metric, sweep=sweep, by_seed=True)
    named = NAMED | dict(_checkpoints(trials, confirmations, list(best["trial_id"].head(MOST_TRIALS))))
    return {path: what for path, what in named.items() if (folder / path).exists()}


def _checkpoints(trials: pd.DataFrame, confirmations: pd.DataFrame, best: list[str]) -> Iterator[tuple[str, str]]:
    kept = trials[trials["checkpoint"].notna()]
    where = dict(zip(kept["trial_id"], kept["checkpoint"], strict=True))
    again = rows_of_confirm(confirmations)
    done = again[again["status"].eq(COMPLETED) & again["checkpoint"].notna()]
    for trial_id in best:
        if trial_id in where:
            yield where[trial_id], f"checkpoint of {trial_id}"
        of_trial = done.loc[done["trial_id"] == trial_id, ["checkpoint", "seed"]]
        for path, seed in of_trial.itertuples(index=False, name=None):
            yield path, f"checkpoint of {trial_id}, trained again with seed {seed}"
