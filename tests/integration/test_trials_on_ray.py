"""Sweeps on a real Ray: what the table says of trials that end well, raise, diverge, or lose their worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.placement.attempt import Attempt
from tests.integration.running import Refresh, Tables, run_sweep, tables

pytestmark = pytest.mark.filterwarnings("default")

SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 200, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  augmentations: [{name: crop, padding: 1}]
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 32
  epochs: 3
scheduler: {name: none}
trials_per_study: 1
"""


@pytest.fixture
def run(tmp_path: Path, machine: Machine) -> Callable[..., Tables]:
    """Runs the sweep above with overrides; returns its two tables."""

    def ran(*overrides: str, refresh: Refresh = lambda _: None) -> Tables:
        run_sweep(SWEEP, tmp_path / "results", machine, *overrides, refresh=refresh)
        return tables(tmp_path / "results")

    return ran


def workers() -> dict[int, psutil.Process]:
    """The worker processes that hold a trial, or held one."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if "TrialRunner" in " ".join(process.cmdline()):
                found[process.pid] = process
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_worker_gives_a_trial_the_same_curve_whatever_it_trained_before(
    run: Callable[..., Tables],
) -> None:
    """A, B, A, B in one process: `compile` differs, which means nothing on a CPU, so that the trials are the same."""
    seen: set[int] = set()

    def refresh(_: Iterable[Attempt]) -> None:
        seen.update(workers())

    trials, epochs = run(
        "grid={compile: [auto, false], model: [{name: mininet, width: 4, dropout: 0.25}, {name: resnet18, width: 4}]}",
        "trial.ema={decay: 0.9}",
        refresh=refresh,
    )
    assert list(trials.status) == ["completed"] * 4
    assert len(seen) == 1
    numbers = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"]
    for first, again in (("t0001", "t0003"), ("t0002", "t0004")):
        pd.testing.assert_frame_equal(
            epochs.loc[first, numbers].reset_index(drop=True),
            epochs.loc[again, numbers].reset_index(drop=True),
            check_exact=True,
        )
    assert epochs.loc["t0001", "train_loss"].tolist() != epochs.loc["t0002", "train_loss"].tolist()


def test_trials_that_raise_or_diverge_become_rows_and_the_others_go_on(
    run: Callable[..., Tables],
) -> None:
    """The weights that one cell begins with are not there, which the command would have refused before Ray."""
    trials, epochs = run("grid={initial_weights: [null, nowhere.safetensors], optimizer.lr: [0.1, 1.0e30]}")
    assert trials.status.to_dict() == {"t0001": "completed", "t0002": "diverged", "t0003": "failed", "t0004": "failed"}
    assert trials.status_reason["t0002"].startswith("training loss is not finite in epoch 1, at step ")
    assert trials.status_reason["t0003"].startswith("ConfigError: ")
    assert "nowhere.safetensors is not there" in trials.error["t0003"]
    assert "Traceback" in trials.error["t0003"]
    assert trials.attempts.tolist() == [1, 1, 1, 1]
    assert trials.epochs_trained.tolist() == [3, 0, 0, 0]
    assert list(epochs.index.unique()) == ["t0001"]
    done = trials.loc["t0001"]
    assert done.num_parameters > 0
    assert done.flops_per_image > 0
    assert done.device_name == "cpu"
    assert done.precision == "float32"
    assert done.checkpoint == "checkpoints/t0001"
    assert done.started_at < done.ended_at
    assert done.train_seconds <= done.wall_seconds


def test_a_target_ends_the_sweep_when_a_trial_has_reached_it(run: Callable[..., Tables]) -> None:
    trials, epochs = run("trials_per_study=4", "stop={target: 0.1, gpu_hours: 1.0e-9}")
    assert list(trials.status) == ["completed"]
    assert trials.epochs_trained.tolist() == [3]
    assert epochs.validation_accuracy.max() >= 0.1


def test_a_trial_whose_worker_is_killed_goes_on_in_another(
    run: Callable[..., Tables],
) -> None:
    killed: list[int] = []

    def refresh(live: Iterable[Attempt]) -> None:
        if not killed and any(attempt.epoch >= 2 for attempt in live):
            killed.extend(workers())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    trials, epochs = run("trial.epochs=20", refresh=refresh)
    assert killed
    row = trials.loc["t0001"]
    assert (row.status, row.attempts, row.epochs_trained) == ("completed", 2, 20)
    assert epochs.epoch.tolist() == list(range(1, 21))


def test_an_error_of_the_driver_ends_the_sweep_with_that_error_and_whole_rows(
    run: Callable[..., Tables], tmp_path: Path
) -> None:
    def refresh(live: Iterable[Attempt]) -> None:
        if any(attempt.epoch >= 2 for attempt in live):
            raise RuntimeError("the screen broke")

    with pytest.raises(RuntimeError, match="the screen broke"):
        run("trial.epochs=400", refresh=refresh)
    trials = pd.read_parquet(tmp_path / "results" / "trials.parquet")
    assert trials.status.tolist() == ["interrupted"]
    assert trials.epochs_trained[0] >= 2


@pytest.mark.parametrize(
    "scheduler",
    [pytest.param("asha_promotion", marks=pytest.mark.slow), pytest.param("hyperband", marks=pytest.mark.nightly)],
)
def test_a_paused_trial_that_goes_on_has_the_curve_of_one_that_never_paused(
    run: Callable[..., Tables], scheduler: str, tmp_path: Path
) -> None:
    numbers = ["epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"]
    varied = ("search={optimizer.lr: {float: [0.01, 1.0], log: true}}", "trials_per_study=5")
    _, whole = run(*varied, "sampler={name: random}")
    (tmp_path / "results").rename(tmp_path / "whole")
    trials, epochs = run(
        *varied, "sampler={name: random}", f"scheduler={{name: {scheduler}, grace_epochs: 1, reduction_factor: 2}}"
    )
    assert set(trials.status) == {"completed", "stopped"}
    stopped = epochs[epochs.decision == "stop"].epoch
    went_on = [name for name, epoch in stopped.items() if trials.epochs_trained[name] > epoch]
    assert went_on
    assert trials.attempts[went_on].min() >= 2
    for trial_id in trials.index:
        reached = trials.epochs_trained[trial_id]
        pd.testing.assert_frame_equal(
            epochs.loc[[trial_id], numbers], whole.loc[[trial_id], numbers].head(reached), check_exact=True
        )


@pytest.mark.slow
def test_a_child_goes_on_from_the_weights_of_its_parent(run: Callable[..., Tables], tmp_path: Path) -> None:
    trials, epochs = run(
        "trial.dataset.train_size=1000",
        "trial.model.width=8",
        "trial.epochs=6",
        "trial.schedule={name: constant}",
        "search={optimizer.lr: {float: [0.001, 0.3], log: true}}",
        "sampler={name: random}",
        "scheduler={name: pbt, population: 4, interval_epochs: 3}",
        "trials_per_study=4",
    )
    accuracy = epochs.set_index("epoch", append=True).validation_accuracy
    children = trials[trials.parent.notna()]
    assert list(children.index) == ["t0005"]
    assert list(trials.status) == ["stopped" if name in _replaced(trials) else "completed" for name in trials.index]
    assert len(epochs) == 4 * 6
    for child, parent in children.parent.items():
        assert epochs.loc[child].epoch.tolist() == [4, 5, 6]
        before, fresh = accuracy[parent, 3], accuracy[parent, 1]
        assert before > 0.5
        assert abs(accuracy[child, 4] - before) < abs(accuracy[child, 4] - fresh)
        assert accuracy[child, 4] > before - 0.1
        assert epochs.loc[child].lr.iloc[0] == pytest.approx(trials.loc[child, "trial.optimizer.lr"])
        assert trials.loc[child, "trial.optimizer.lr"] != trials.loc[parent, "trial.optimizer.lr"]
        origin = (tmp_path / "results" / "checkpoints" / str(child) / "origin.json").read_text()
        assert origin == f'{{"trial_id": "{parent}", "epoch": 3}}'


def _replaced(trials: pd.DataFrame) -> set[str]:
    return {str(name) for name in trials.index if "; replaced by t" in str(trials.status_reason[name])}
