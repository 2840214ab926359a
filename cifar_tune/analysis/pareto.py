"""The Pareto front of a sweep with several objectives: the completed trials that no other beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cifar_tune.analysis.history import history
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.naming import more_is_better
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.pareto import Floats, dominated_by, dominating, hypervolume, non_dominated
from cifar_tune.results.columns import COMPLETED

MARGIN = 0.1
"""Of an objective's range, from its worst value to the reference point: so the ends of the front count, too.
Source: Ishibuchi et al. 2018 (doi:10.1162/evco_a_00226), 1 / H of a front of ten divisions."""

MOST_OBJECTIVES = 4
"""For which the hypervolume is computed; its time grows with the front to the power of their number."""


def completed(trials: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """The completed trials that have a value in every objective.

    Raises:
        AnalysisError: no such metric.
    """
    names = [known_metric(trials, name) for name in objectives]
    return trials[(trials["status"] == COMPLETED) & trials[names].notna().all(axis=1)]


def pareto(trials: pd.DataFrame, objectives: Sequence[str], *, sweep: SweepFile | None = None) -> pd.DataFrame:
    """The non-dominated completed trials, along the front: the best in the first objective first.

    Columns: trial_id, the objectives, epochs_trained, train_seconds, and the parameters that vary. Which way an
    objective improves follows from its name.

    Raises:
        AnalysisError: no such metric.
    """
    whole = completed(trials, objectives)
    front = whole[non_dominated(signed(whole, objectives))]
    downwards = [not more_is_better(name) for name in objectives]
    ordered = front.sort_values([*objectives, "trial_id"], ascending=[*downwards, True], kind="stable")
    several = ["sweep"] if trials["sweep"].nunique() > 1 else []
    columns = [*several, "trial_id", *objectives, "epochs_trained", "train_seconds", *varied_parameters(trials, sweep)]
    return ordered[list(dict.fromkeys(columns))].reset_index(drop=True)


def signed(trials: pd.DataFrame, objectives: Sequence[str]) -> Floats:
    """(n, m) values of the objectives, turned so that higher is better."""
    signs = [1.0 if more_is_better(name) else -1.0 for name in objectives]
    found: Floats = trials[list(objectives)].to_numpy(float) * signs
    return found


def reference_point(trials: pd.DataFrame, objectives: Sequence[str]) -> dict[str, float]:
    """The worst value of each objective among the completed trials, and a tenth of its range worse than that."""
    values = completed(trials, objectives)[list(objectives)].astype(float)
    low, high = values.min(), values.max()
    step = MARGIN * (high - low)
    worst = {name: low[name] - step[name] if more_is_better(name) else high[name] + step[name] for name in objectives}
    return {name: float(value) for name, value in worst.items()}


def hypervolume_history(trials: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """One row a completed trial, in the order in which they ended: how much the front had covered by then.

    Columns: trial_id, trials, hours, gpu_hours as in `history`; front: trials on the front by then; hypervolume: the
    share that the front dominates of the box between `reference_point` and the best value of each objective.

    Raises:
        AnalysisError: no such metric.
    """
    whole = completed(trials, objectives)
    ended = history(trials, objectives[0])[["trial_id", "trials", "hours", "gpu_hours"]]
    table = ended[ended["trial_id"].isin(whole["trial_id"])].reset_index(drop=True)
    points = _in_the_box(signed(whole.set_index("trial_id").loc[table["trial_id"]], objectives))
    front = np.empty((0, len(objectives)))
    sizes, volumes, volume = [], [], 0.0
    for point in points:
        if not dominating(front, point).any():
            front = np.vstack([front[~dominated_by(front, point)], point])
            volume = hypervolume(front, np.zeros(len(objectives)))
        sizes.append(len(front))
        volumes.append(volume)
    return table.assign(front=sizes, hypervolume=volumes)


def _in_the_box(points: Floats) -> Floats:
    """The points with the reference point at 0 and the best value of each objective at 1."""
    if not len(points):
        return points
    best, worst = points.max(axis=0), points.min(axis=0)
    span = (1 + MARGIN) * (best - worst)
    found: Floats = 1 - (best - points) / np.where(span > 0, span, 1.0)
    return found
