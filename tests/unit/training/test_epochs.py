"""A whole trial on the real digits, left and taken up again."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from cifar_tune.errors import CheckpointError, ConfigError, DeviceError
from cifar_tune.training import epochs
from cifar_tune.training.checkpoint import read_checkpoint
from cifar_tune.training.epochs import open_trial, trial_epochs
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.progress import ending
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig


def digits_trial(**changes: Any) -> TrialConfig:
    values = {
        "dataset": {"name": "digits", "train_size": 100, "validation_fraction": 0.2},
        "model": {"name": "resnet18", "width": 2},
        "augmentations": [{"name": "crop", "padding": 1}],
        "optimizer": {"name": "sgd", "lr": 0.05},
        "batch_size": 40,
        "epochs": 4,
        **changes,
    }
    return TrialConfig.model_validate(values)


def run(trial: TrialConfig, checkpoints: Path | None, count: int | None = None) -> list[EpochMetrics]:
    return list(islice(trial_epochs(trial, root=Path(), device="cpu", checkpoints=checkpoints), count))


def curve(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(one, epoch_seconds=0.0, images_per_second=0.0, peak_memory_bytes=0) for one in history]


def test_what_was_recorded_comes_first_and_unchanged(tmp_path: Path) -> None:
    first = run(digits_trial(), tmp_path, 2)
    again = run(digits_trial(), tmp_path)
    assert again[:2] == first
    assert curve(again) == curve(run(digits_trial(), None))
    assert run(digits_trial(), tmp_path) == again, "a finished trial trains no more"


def test_every_record_is_on_disk_before_it_is_yielded(tmp_path: Path) -> None:
    for metrics in trial_epochs(digits_trial(), root=Path(), device="cpu", checkpoints=tmp_path):
        assert read_checkpoint(tmp_path / "last").history[-1] == metrics


def test_without_validation_images_every_image_is_trained_on_and_nothing_validated(tmp_path: Path) -> None:
    dataset = {"name": "digits", "train_size": 100, "validation_fraction": 0}
    opened = open_trial(digits_trial(dataset=dataset), root=Path(), device="cpu", checkpoints=tmp_path)
    history = list(opened.epochs())
    assert (len(opened.data.train), len(opened.data.validation)) == (100, 0)
    assert [one.validation_accuracy for one in history] == [None] * 4
    assert "no image was held out to validate on" in ending(opened)
    assert read_checkpoint(tmp_path / "last").trial == opened.trial
    assert not (tmp_path / "best").exists()


def test_best_is_the_epoch_with_the_highest_validation_accuracy(tmp_path: Path) -> None:
    history = run(digits_trial(), tmp_path)
    best = max(history, key=lambda metrics: metrics.validation_accuracy or 0)
    assert read_checkpoint(tmp_path / "best").history[-1] == best


def test_a_best_epoch_that_was_saved_but_not_yet_kept_is_kept_on_return(tmp_path: Path) -> None:
    trial = digits_trial(optimizer={"name": "sgd", "lr": 1e-6})
    (metrics,) = run(trial, tmp_path, 1)
    folder = CheckpointFolder(tmp_path)
    folder.best.rename(tmp_path / "as if killed in between")
    open_trial(trial, root=Path(), device="cpu", checkpoints=tmp_path)
    assert read_checkpoint(folder.best).history == [metrics]


def test_a_save_that_is_interrupted_is_finished_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupted(*arguments: Any) -> dict[str, bytes]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return serialize(*arguments)

    serialize = epochs.serialize
    monkeypatch.setattr(epochs, "serialize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(digits_trial(), tmp_path)
    assert read_checkpoint(tmp_path / "last").training["epoch"] == 2


def test_a_corrupt_checkpoint_costs_its_epoch_and_no_more(tmp_path: Path) -> None:
    first = run(digits_trial(), tmp_path, 1)
    opened = open_trial(digits_trial(), root=Path(), device="cpu", checkpoints=tmp_path)
    next(opened.epochs())
    (tmp_path / "last" / "state.pt").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"state\.pt is corrupt"):
        again = run(digits_trial(), tmp_path)
    assert again[:1] == first
    assert curve(again) == curve(run(digits_trial(), None))


def test_without_checkpoints_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(digits_trial(epochs=1), None)
    assert list(tmp_path.iterdir()) == []


def test_a_longer_trial_goes_on_from_a_shorter_one(tmp_path: Path) -> None:
    short = run(digits_trial(epochs=2, schedule={"name": "constant"}), tmp_path)
    longer = run(digits_trial(epochs=4, schedule={"name": "constant"}), tmp_path)
    assert longer[:2] == short
    assert curve(longer) == curve(run(digits_trial(schedule={"name": "constant"}), None))


def test_a_trial_goes_on_although_its_initial_weights_are_gone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.safetensors"
    trial = digits_trial(epochs=2, initial_weights=str(theirs))
    safetensors.torch.save_file(trial.model.build(trial.dataset.info(Path())).state_dict(), theirs)
    first = run(trial, tmp_path / "t", 1)
    theirs.unlink()
    assert run(trial, tmp_path / "t")[:1] == first
    with pytest.raises(ConfigError, match=r"theirs\.safetensors is not there"):
        run(trial, tmp_path / "new")


def test_wrong_input_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a batch of 400 images"):
        run(digits_trial(batch_size=400), tmp_path)
    with pytest.raises(DeviceError, match="device cuda:99 is not there"):
        list(trial_epochs(digits_trial(), root=Path(), device="cuda:99"))
    run(digits_trial(epochs=1), tmp_path)
    with pytest.raises(CheckpointError, match="is of another trial: its model"):
        run(digits_trial(model={"name": "mininet", "width": 2}), tmp_path)
