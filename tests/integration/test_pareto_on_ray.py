"""Accuracy against parameters on a real Ray: a front of several trials, and rungs that follow from the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cifar_tune.analysis.pareto import pareto
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.pareto import ranks
from cifar_tune.results import load
from tests.integration.running import run_sweep

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SWEEP = """
name: pareto
trial:
  dataset: {name: digits, train_size: 400, validation_fraction: 0.25}
  model: {name: mininet, width: 12}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 32
  epochs: 4
search:
  model.width: {int: [1, 16]}
objective: [{metric: validation_accuracy}, {metric: num_parameters}]
sampler: {name: tpe, n_startup_trials: 6}
scheduler: {name: asha, grace_epochs: 1, reduction_factor: 2}
trials_per_study: 12
"""


def test_a_sweep_by_accuracy_and_parameters_ends_with_a_front_of_several_trials(
    tmp_path: Path, machine: Machine
) -> None:
    told = run_sweep(SWEEP, tmp_path / "results", machine).progress().front
    trials, epochs, _ = load(tmp_path / "results")
    assert set(trials["status"]) == {"completed", "stopped"}
    front = pareto(trials, ("validation_accuracy", "num_parameters"))
    assert len(front) >= 3
    assert front["validation_accuracy"].is_monotonic_decreasing
    assert front["num_parameters"].is_monotonic_decreasing
    assert told is not None
    assert told.size == len(front)
    assert told.extremes[1].value == front["num_parameters"].iloc[-1]
    check_rungs(trials, epochs)


def check_rungs(trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
    """Every decision again, from the two tables alone."""
    parameters = trials.set_index("trial_id")["num_parameters"].astype(float)
    decided = epochs[epochs["rung"].notna()]
    assert set(decided["rung"]) == {1, 2}
    for _, there in decided.sort_values("rung_size").groupby("rung"):
        points = np.column_stack([there["validation_accuracy"], -parameters[there["trial_id"].astype(str)]])
        expected = [int(ranks(points[:size])[-1]) for size in range(1, len(points) + 1)]
        assert there["rung_rank"].tolist() == expected
        goes_on = [rank <= max(1, size // 2) for size, rank in enumerate(expected, start=1)]
        assert (there["decision"] == "continue").tolist() == goes_on
