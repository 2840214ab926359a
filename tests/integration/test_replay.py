"""One search, two worlds: a sweep trained on a real Ray, and its own curves replayed in simulated time."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.search.simulate.recordings import Recording, Run
from cifar_tune.search.simulate.simulation import RecordedSweep, replay_search

pytestmark = pytest.mark.filterwarnings("default")

SWEEP = """
name: small
seed: 7
trial:
  dataset: {name: digits, train_size: 200, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 32
  epochs: 9
search:
  optimizer.lr: {float: [1.0e-3, 1.0], log: true}
  optimizer.momentum: {float: [0.0, 0.95]}
  batch_size: {int: [16, 64], step: 16}
  loss.label_smoothing: {choice: [0.0, 0.1]}
sampler: {name: tpe, n_startup_trials: 4}
scheduler: {name: SCHEDULER, grace_epochs: 1, reduction_factor: 3, audit_fraction: 0.2}
trials_per_study: 16
"""

DECISIONS = ["trial_id", "epoch", "validation_accuracy", "decision", "rung", "rung_size", "rung_rank", "rung_cutoff"]


@pytest.mark.parametrize(
    "scheduler",
    [pytest.param("asha", marks=pytest.mark.slow), pytest.param("asha_promotion", marks=pytest.mark.nightly)],
)
def test_the_same_seed_makes_the_same_decisions_on_ray_and_in_the_simulator(
    tmp_path: Path, machine: Machine, scheduler: str
) -> None:
    (tmp_path / "small.yaml").write_text(SWEEP.replace("SCHEDULER", scheduler))
    sweep = load_sweep(tmp_path / "small.yaml")
    real, simulated = tmp_path / "real", tmp_path / "simulated"
    train(sweep, real, machine)
    with ResultsStore.create(simulated, sweep_name=sweep.name) as store:
        recorded = recorded_sweep(sweep, real)
        replay_search(Search(recorded, store), recorded.recording, workers=1, moments=[math.inf])
        proposed, promoted = moves(store)
    trained, replayed = (pd.read_parquet(folder / "trials.parquet") for folder in (real, simulated))
    with ResultsStore.open(real) as store:
        assert (proposed, promoted) == moves(store)
    assert bool(promoted) == (scheduler == "asha_promotion")
    assert replayed["trial.run"].tolist() == list(range(16))
    ends = ["trial_id", "status", "status_reason", "epochs_trained", "audited"]
    pd.testing.assert_frame_equal(replayed[ends], trained[ends], check_exact=True)
    assert {"completed", "stopped"} <= set(trained.status)
    epochs = [pd.read_parquet(folder / "epochs.parquet")[DECISIONS] for folder in (simulated, real)]
    pd.testing.assert_frame_equal(*epochs, check_exact=True)


def moves(store: ResultsStore) -> tuple[list[object], list[object]]:
    """What was proposed, and which paused trials went on from where and why, each in order."""
    gone_on = [(note["trial_id"], note["epoch"], note.get("audited", False)) for note in store.notes("promoted")]
    return [note["values"] for note in store.notes("proposed")], gone_on


def train(sweep: SweepConfig, folder: Path, machine: Machine) -> None:
    with ResultsStore.create(folder, sweep_name=sweep.name) as store, Interruption() as interruption:
        run_trials(
            Search(sweep, store),
            store,
            asked=sweep.resources,
            root=folder,
            machine=machine,
            address=None,
            interruption=interruption,
            refresh=lambda _: None,
        )


def recorded_sweep(sweep: SweepConfig, folder: Path) -> RecordedSweep:
    """The sweep over its own trials: those that were stopped are known as far as they went."""
    curves = dict(tuple(pd.read_parquet(folder / "epochs.parquet").groupby("trial_id")))
    runs = [
        Run(
            {path: row[f"trial.{path}"] for path in sweep.search},
            sweep.trial.epochs,
            tuple(curves[row["trial_id"]].validation_accuracy),
            tuple(curves[row["trial_id"]].epoch_seconds),
            row["status"] == "diverged",
        )
        for row in pd.read_parquet(folder / "trials.parquet").to_dict("records")
    ]
    return RecordedSweep(
        Recording(sweep.name, runs, sweep.search),
        sweep.seed,
        sweep.objective,
        sweep.sampler,
        sweep.scheduler,
        baseline=sweep.baseline_point({}),
    )
