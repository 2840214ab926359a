"""Trials of two processes on a real Ray: they are stopped, killed and continued, and everything comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cifar_tune.execution.cluster.cluster import connected
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.dispatcher import Attempt
from tests.integration.running import Refresh, Tables, run_sweep, tables

pytestmark = pytest.mark.filterwarnings("default")

SWEEP = """
name: together
trial:
  dataset: {name: digits, train_size: 200, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 32
  sync_batch_norm: true
  epochs: 4
search: {optimizer.lr: {float: [1.0e-4, 0.5], log: true}}
sampler: {name: random}
scheduler: {name: asha, grace_epochs: 1, reduction_factor: 2}
trials_per_study: 6
resources: {gpus: 0, processes: 2}
"""

NUMBERS = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"]
GONE_SECONDS = 60
"""How long Ray is given to end processes and take resources back; it takes one or two."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Two cores, so that one trial of two processes is at work at a time."""
    two_cores = Machine(cores=2, memory_bytes=8 * 10**9, gpus=())
    with connected(two_cores, address=None, log=tmp_path_factory.mktemp("ray") / "ray.log"):
        yield two_cores


@pytest.fixture
def run(tmp_path: Path, machine: Machine) -> Callable[..., Tables]:
    """Runs the sweep above with overrides; returns its two tables."""

    def ran(name: str, *overrides: str, refresh: Refresh = lambda _: None) -> Tables:
        run_sweep(SWEEP, tmp_path / name, machine, *overrides, refresh=refresh)
        return tables(tmp_path / name)

    return ran


def processes(name: str = "RankActor") -> list[psutil.Process]:
    """Those that train a trial, or a part of one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def everything_came_back() -> bool:
    import ray
    from ray.util import placement_group_table

    for _ in range(GONE_SECONDS):
        groups = {group["state"] for group in placement_group_table().values()}
        free, whole = (found.get("CPU", 0) for found in (ray.available_resources(), ray.cluster_resources()))
        if free == whole == 2 and groups <= {"REMOVED"} and not processes():
            return True
        time.sleep(1)
    return False


@pytest.mark.slow
def test_asha_stops_all_processes_of_a_trial_and_every_resource_comes_back(run: Callable[..., Tables]) -> None:
    seen: set[int] = set()

    def refresh(_: Iterable[Attempt]) -> None:
        seen.update(process.pid for process in processes())

    trials, epochs = run("stopped", refresh=refresh)
    assert set(trials.status) == {"completed", "stopped"}
    assert set(trials.processes) == {2}
    assert set(trials.micro_batch_size) == {16}
    assert set(trials.attempts) == {1}
    assert len(seen) == 2
    assert len(epochs) == trials.epochs_trained.sum()
    assert everything_came_back()


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_has_the_curve_of_an_undisturbed_one(run: Callable[..., Tables]) -> None:
    one = ("scheduler={name: none}", "trials_per_study=1", "trial.epochs=20")
    _, undisturbed = run("undisturbed", *one)
    killed: list[int] = []

    def refresh(live: Iterable[Attempt]) -> None:
        if not killed and any(attempt.epoch >= 2 for attempt in live):
            killed.append(processes()[-1].pid)
            os.kill(killed[0], signal.SIGKILL)

    trials, disturbed = run("disturbed", *one, refresh=refresh)
    assert killed
    assert (trials.status["t0001"], trials.attempts["t0001"]) == ("completed", 2)
    pd.testing.assert_frame_equal(disturbed[NUMBERS], undisturbed[NUMBERS], check_exact=True)
    assert everything_came_back()


@pytest.mark.nightly
def test_a_neighbour_that_crashes_takes_no_other_trial_with_it(run: Callable[..., Tables]) -> None:
    killed: list[int] = []

    def refresh(live: Iterable[Attempt]) -> None:
        if not killed and sum(attempt.epoch >= 2 for attempt in live) == 2:
            killed.append(processes("TrialRunner")[0].pid)
            os.kill(killed[0], signal.SIGSEGV)

    side_by_side = ("resources={gpus: 0}", "trial.sync_batch_norm=false", "scheduler={name: none}")
    trials, epochs = run("neighbours", *side_by_side, "trials_per_study=2", "trial.epochs=30", refresh=refresh)
    assert killed
    assert sorted(trials.attempts) == [1, 2]
    assert set(trials.status) == {"completed"}
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [list(range(1, 31))] * 2
    assert everything_came_back()


@pytest.mark.nightly
def test_a_trial_that_raises_in_its_processes_fails_and_the_next_trains(run: Callable[..., Tables]) -> None:
    one_each = ("scheduler={name: none}", "trials_per_study=1")
    trials, _ = run("raised", "grid={initial_weights: [nowhere.safetensors, null]}", *one_each)
    assert list(trials.status) == ["failed", "completed"]
    assert "nowhere.safetensors is not there" in trials.error["t0001"]
    assert everything_came_back()


@pytest.mark.nightly
def test_a_disk_that_only_one_process_writes_to_is_waited_for(run: Callable[..., Tables], tmp_path: Path) -> None:
    """A file where the first process makes the folder of the trial's checkpoints; the other process writes nothing."""
    ledger, there = tmp_path / "blocked" / "ledger.jsonl", tmp_path / "blocked" / "checkpoints"

    def refresh(_: Iterable[Attempt]) -> None:
        told = ledger.read_text()
        if not there.exists() and '"kind":"fault"' not in told:
            there.write_text("")
        elif there.is_file() and '"kind":"fault"' in told:
            there.unlink()

    trials, _ = run("blocked", "scheduler={name: none}", "trials_per_study=1", refresh=refresh)
    assert list(trials.status) == ["completed"]
    assert trials.faults["t0001"] >= 1
    assert everything_came_back()
