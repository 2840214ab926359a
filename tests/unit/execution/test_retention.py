"""What a trial keeps on disk once it has ended."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.retention import Retention, kept_of, kept_of_retraining, pauses
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.schedulers import build_scheduler
from cifar_tune.training.manifest import FORMAT, MANIFEST, sealed

SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  schedule: {name: constant}
  epochs: 9
search:
  optimizer.lr: {float: [0.01, 1.0], log: true}
trials_per_study: 4
"""
SCHEDULERS = [member.model_fields["name"].default for member in get_args(get_args(AnyScheduler)[0])]
COMPLETED = {"status": "completed", "status_reason": None, "parent": None, "epochs_trained": 9}
STOPPED = {"status": "stopped", "status_reason": "rank 3 of 3", "parent": None, "epochs_trained": 3}


def sweep_with(folder: Path, *overrides: str) -> SweepConfig:
    path = folder / "small.yaml"
    path.write_text(SWEEP)
    return load_sweep(path, overrides)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_pauses_where_the_search_says_so(name: str, tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, f"scheduler={{name: {name}}}")
    built = build_scheduler(sweep.scheduler, epochs=9, signs=[1], seed=0)
    assert pauses(sweep) == built.pauses


@pytest.mark.parametrize("keep", ["best", "best_and_last", "all"])
@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_a_trial_that_may_be_resumed_keeps_everything(status: str, keep: str, tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, f"checkpoints.keep={keep}")
    for over in (False, True):
        assert kept_of({**COMPLETED, "status": status}, sweep, over=over) == "everything"


@pytest.mark.parametrize("keep", ["best", "best_and_last"])
def test_a_paused_trial_can_go_on_while_the_sweep_runs(keep: str, tmp_path: Path) -> None:
    for scheduler in ("asha_promotion", "hyperband", "pbt"):
        sweep = sweep_with(tmp_path, f"scheduler={{name: {scheduler}}}", f"checkpoints.keep={keep}")
        assert kept_of(STOPPED, sweep, over=False) == "training"


@pytest.mark.parametrize(
    ("scheduler", "schedule", "row", "kept"),
    [
        ("asha_promotion", "constant", COMPLETED, "training"),
        ("asha_promotion", "onecycle", COMPLETED, "weights"),
        ("asha_promotion", "onecycle", STOPPED, "training"),
        ("asha", "constant", STOPPED, "weights"),
        ("asha", "constant", COMPLETED, "training"),
        ("asha", "constant", {**COMPLETED, "status_reason": "early stopping"}, "weights"),
        ("asha", "constant", {**STOPPED, "status": "diverged"}, "weights"),
        ("hyperband", "constant", COMPLETED, "weights"),
        ("pbt", "constant", COMPLETED, "weights"),
        ("pbt", "constant", STOPPED, "weights"),
    ],
)
def test_by_default_it_keeps_the_optimizers_state_only_where_extend_goes_on_from_it(
    scheduler: str, schedule: str, row: dict[str, Any], kept: str, tmp_path: Path
) -> None:
    overrides = [f"scheduler={{name: {scheduler}}}", f"trial.schedule={{name: {schedule}}}"]
    sweep = sweep_with(tmp_path, *overrides)
    assert sweep.checkpoints.keep == "best_and_last"
    assert kept_of(row, sweep, over=True) == kept
    assert kept_of(row, sweep_with(tmp_path, *overrides, "checkpoints.keep=best"), over=True) == "best"
    assert kept_of(row, sweep_with(tmp_path, *overrides, "checkpoints.keep=all"), over=True) == "everything"


def test_a_retraining_keeps_the_last_weights_which_the_test_split_has_scored() -> None:
    assert kept_of_retraining(COMPLETED, "best") == kept_of_retraining(COMPLETED, "best_and_last") == "weights"
    assert kept_of_retraining({**COMPLETED, "status": "failed"}, "best") == "everything"
    assert kept_of_retraining(COMPLETED, "all") == "everything"


def checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    names = ("model.safetensors", "state.pt", "trial.json")
    for name in names:
        (folder / name).write_bytes(b"x")
    manifest = {"format": FORMAT, "epoch": 1, "dataset": {}, "files": dict.fromkeys(names, ""), "history": []}
    (folder / MANIFEST).write_bytes(sealed(manifest))


def test_what_a_killed_driver_has_left_is_deleted_by_the_next(tmp_path: Path) -> None:
    """The ledger said that the trial had ended, and nothing had been deleted yet."""
    with ResultsStore.create(tmp_path / "results", sweep_name="small") as store:
        for trial_id, status in (("t0001", "completed"), ("t0002", "running")):
            store.update_trial(trial_id, status=status)
            for part in ("last", "previous"):
                checkpoint(store.folder / "checkpoints" / trial_id / part)
        checkpoint(store.folder / "checkpoints" / "of somebody else" / "previous")
        sweep = sweep_with(tmp_path, "trial.schedule={name: onecycle}")
        rule = partial(kept_of, sweep=sweep, over=True)
        with Retention(store, rule) as retention:
            retention.tidy(rule)
        left = {path.relative_to(store.folder / "checkpoints").as_posix() for path in store.folder.rglob("state.pt")}
        assert left == {"t0002/last/state.pt", "t0002/previous/state.pt", "of somebody else/previous/state.pt"}


def test_a_trial_that_trains_again_waits_for_what_is_being_deleted(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "results", sweep_name="small") as store:
        store.update_trial("t0001", status="stopped")
        for part in ("last", "previous"):
            checkpoint(store.folder / "checkpoints" / "t0001" / part)
        with Retention(store, lambda _: "training") as retention:
            retention.ended("t0001")
            retention.before("t0001")
            assert not (store.folder / "checkpoints" / "t0001" / "previous").exists()
            assert (store.folder / "checkpoints" / "t0001" / "last" / "state.pt").exists()
