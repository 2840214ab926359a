"""`prune`: what goes, what stays, and that nothing goes by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.cli.arguments import checkpoint_folder
from cifar_tune.cli.prune import main
from cifar_tune.cli.train import trial_file
from cifar_tune.errors import CheckpointError
from cifar_tune.layout import CONFIRM_FOLDER
from cifar_tune.results.confirmations import PLANNED, ConfirmationsFile
from cifar_tune.results.store import ResultsStore
from cifar_tune.training.manifest import FORMAT, MANIFEST, sealed

WEIGHTS = {"model.safetensors", "trial.json", "manifest.json"}
STATUSES = {
    "t0001": ("completed", 0.9),
    "t0002": ("completed", 0.8),
    "t0003": ("completed", 0.7),
    "t0004": ("stopped", 0.6),
    "t0005": ("diverged", 0.1),
    "t0006": ("interrupted", 0.5),
    "t0007": ("failed", 0.5),
}


def checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    names = ("model.safetensors", "state.pt", "trial.json")
    for name in names:
        (folder / name).write_bytes(b"x" * 1000)
    manifest = {"format": FORMAT, "epoch": 1, "dataset": {}, "files": dict.fromkeys(names, ""), "history": []}
    (folder / MANIFEST).write_bytes(sealed(manifest))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep whose third best trial has been confirmed, as older versions left it."""
    folder = tmp_path / "small"
    with ResultsStore.create(folder, sweep_name="small") as store:
        for trial_id, (status, accuracy) in STATUSES.items():
            store.update_trial(trial_id, status="running")
            store.add_epoch(trial_id, 1, validation_accuracy=accuracy)
            store.update_trial(trial_id, status=status)
            for part in ("last", "previous", "best"):
                checkpoint(folder / "checkpoints" / trial_id / part)
    with ResultsStore.create(folder / CONFIRM_FOLDER, sweep_name="small") as store:
        note = {"source": "t0003", "configuration": "()", "seed": 7, "trained_on": "train", "reason": "place 3"}
        store.note(PLANNED, trial_id="t0003-seed7", **note)
        store.update_trial("t0003-seed7", status="completed", seed=7)
        for part in ("last", "previous"):
            checkpoint(folder / CONFIRM_FOLDER / "checkpoints" / "t0003-seed7" / part)
        ConfirmationsFile(folder).publish()
    return folder


def files(trial: Path) -> dict[str, set[str]]:
    return {part.name: {one.name for one in part.iterdir()} for part in trial.iterdir() if part.is_dir()}


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_by_itself_it_deletes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(folder)
    assert main([str(folder), "--top", "1"]) == 0
    assert everything(folder) == before
    told = capsys.readouterr().out
    assert "deletes  t0002, t0004, t0005: all checkpoints" in told
    assert f"python -m cifar_tune.prune {folder} --top 1 --yes" in told


def test_it_keeps_the_confirmed_the_best_and_what_may_be_resumed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sum(path.stat().st_size for path in everything(folder / "checkpoints") | everything(folder / "confirm"))
    assert main([str(folder), "--top", "1", "--yes"]) == 0
    told = capsys.readouterr().out
    trials = folder / "checkpoints"
    for trial_id in ("t0001", "t0003"):
        assert files(trials / trial_id) == {"last": WEIGHTS, "best": WEIGHTS}
    assert files(folder / "confirm" / "checkpoints" / "t0003-seed7") == {"last": WEIGHTS}
    for trial_id in ("t0006", "t0007"):
        assert files(trials / trial_id).keys() == {"last", "previous", "best"}
    for trial_id in ("t0002", "t0004", "t0005"):
        assert files(trials / trial_id) == {}
        assert trial_file(trials / trial_id).is_file(), "it can be trained again"
        with pytest.raises(CheckpointError, match=rf"pruned; `python -m cifar_tune.train .*{trial_id}` trains it"):
            checkpoint_folder(folder / trial_id, best=False)
    assert checkpoint_folder(folder, best=True) == trials / "t0001" / "best"
    after = sum(path.stat().st_size for path in everything(folder / "checkpoints") | everything(folder / "confirm"))
    assert f"Deleted: {(before - after) / 1e6:.1f} MB" in told
    assert main([str(folder), "--top", "1", "--yes"]) == 0
    assert "0.0 MB can be freed" in capsys.readouterr().out


def test_while_a_sweep_runs_it_deletes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(folder / "checkpoints")
    for place in (folder, folder / CONFIRM_FOLDER):
        with ResultsStore.open(place):
            assert main([str(folder), "--yes"]) == 2
        assert "a sweep is writing here" in capsys.readouterr().err
    assert everything(folder / "checkpoints") == before


def test_where_nothing_has_completed_those_that_got_furthest_stay(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "small", sweep_name="small") as store:
        for number in (1, 2):
            store.update_trial(f"t000{number}", status="running")
            for epoch in range(1, number + 1):
                store.add_epoch(f"t000{number}", epoch, validation_accuracy=0.5)
            store.update_trial(f"t000{number}", status="stopped")
            checkpoint(store.folder / "checkpoints" / f"t000{number}" / "best")
    assert main([str(tmp_path / "small"), "--top", "1", "--yes"]) == 0
    assert files(tmp_path / "small" / "checkpoints" / "t0001") == {}
    assert files(tmp_path / "small" / "checkpoints" / "t0002") == {"best": WEIGHTS}
