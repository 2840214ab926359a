"""Saving when the process may end at any moment: before every single call to the disk, and by a real kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_tune.errors import CheckpointError
from cifar_tune.training.checkpoint import read_checkpoint, serialize
from cifar_tune.training.data import TrainingData
from cifar_tune.training.manifest import MODEL, TRAINING, TRIAL, read_manifest, without_training
from cifar_tune.training.state import create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

Files = dict[str, bytes]
DISK_CALLS = ("rename", "mkdir", "fsync", "link", "unlink", "rmdir")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def files(small_trial: Callable[..., TrialConfig], small_data: Callable[..., TrainingData]) -> list[Files]:
    """The checkpoints of epochs 0, 1, 2 and 3."""
    trial, info = small_trial(), small_data().info
    state = create_state(trial, info, torch.device("cpu"))
    checkpoints = []
    for state.epoch in range(4):
        checkpoints.append(serialize(state, trial, info))
    return checkpoints


def newest_epoch(path: Path) -> int | None:
    checkpoint = CheckpointFolder(path).newest()
    return None if checkpoint is None else int(checkpoint.training["epoch"])


def test_the_newest_checkpoint_is_the_one_saved_last(files: list[Files], tmp_path: Path) -> None:
    assert newest_epoch(tmp_path) is None
    folder = CheckpointFolder(tmp_path)
    for epoch in range(4):
        folder.save(files[epoch])
        assert newest_epoch(tmp_path) == epoch
    assert {path.name for path in tmp_path.iterdir()} == {"last", "previous", ".writer"}


@pytest.mark.parametrize("sync_seconds", [0.0, 1e9], ids=["always synced", "synced once"])
def test_the_best_stays_while_others_come(sync_seconds: float, files: list[Files], tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, sync_seconds)
    for epoch in range(4):
        folder.save(files[epoch])
        if epoch == 1:
            folder.keep_best(folder.last)
    assert {path.name for path in folder.best.iterdir()} == files[1].keys() - {TRAINING}, "it is there to be used"
    assert {name: (folder.best / name).read_bytes() for name in (MODEL, TRIAL)} == {
        name: files[1][name] for name in (MODEL, TRIAL)
    }
    assert read_checkpoint(folder.best).training == {"epoch": 1, "history": []}
    assert {path.name for path in tmp_path.iterdir()} == {"last", "previous", "best", ".writer"}


def test_a_worker_that_was_given_up_saves_nothing_once_another_has_saved(files: list[Files], tmp_path: Path) -> None:
    """Its node was cut off from the cluster, not from the storage, and it trained on."""
    given_up = CheckpointFolder(tmp_path)
    given_up.save(files[0])
    successor = CheckpointFolder(tmp_path)
    assert successor.newest() is not None
    given_up.save(files[1])
    successor.save(files[1])
    with pytest.raises(CheckpointError, match="another process has taken over this trial"):
        given_up.save(files[2])
    successor.save(files[2])
    assert newest_epoch(tmp_path) == 2


@pytest.mark.parametrize("damage", ["truncated", "missing", "folder gone"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    damage: str, files: list[Files], tmp_path: Path
) -> None:
    folder = CheckpointFolder(tmp_path, sync_seconds=0)
    for epoch in range(3):
        folder.save(files[epoch])
    if damage == "folder gone":
        folder.last.rename(tmp_path / "elsewhere")
        assert newest_epoch(tmp_path) == 1
        return
    path = folder.last / MODEL
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, 100)
    message = r"model\.safetensors is .*; put aside as last\.corrupt; going on from previous"
    with pytest.warns(UserWarning, match=message):
        assert newest_epoch(tmp_path) == 1
    assert newest_epoch(tmp_path) == 1, "asked again, there is nothing to warn of"
    CheckpointFolder(tmp_path).save(files[2])
    assert newest_epoch(tmp_path) == 2


def test_where_no_checkpoint_is_whole_that_is_said(files: list[Files], tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, sync_seconds=0)
    for epoch in range(2):
        folder.save(files[epoch])
    for place in (folder.last, folder.previous):
        (place / MODEL).unlink()
    message = r"last.model\.safetensors is missing; put aside as last\.corrupt; .*previous\.corrupt; beginning anew"
    with pytest.warns(UserWarning, match=message):
        assert folder.newest() is None


def test_another_format_is_no_damage_and_stays(files: list[Files], tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save({**files[0], "manifest.json": b'{"format": 99}'})
    with pytest.raises(CheckpointError, match="format 99"):
        folder.newest()
    assert folder.last.exists()


def test_only_a_synced_checkpoint_is_kept_as_the_one_before(files: list[Files], tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, sync_seconds=1e9)
    for epoch in range(4):
        folder.save(files[epoch])
    folder.last.rename(tmp_path / "lost with the machine")
    assert newest_epoch(tmp_path) == 0


@pytest.mark.parametrize("sync_seconds", [0.0, 1e9], ids=["always synced", "synced once"])
def test_ending_before_any_call_to_the_disk_leaves_a_whole_checkpoint(
    sync_seconds: float, files: list[Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried for every call of two epochs' saving, each of which is the best so far."""
    made = 0
    limit = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal made
            if made >= limit:
                raise Killed
            made += 1
            return function(*arguments, **options)

        return wrapper

    def save_two_more(folder: CheckpointFolder) -> int:
        """Returns the epoch up to which all was saved."""
        done = 1
        with monkeypatch.context() as patch:
            for name in DISK_CALLS:
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                for epoch in (2, 3):
                    folder.save(files[epoch])
                    folder.keep_best(folder.last)
                    done = epoch
            except Killed:
                pass
        return done

    manifests = []
    for number, one in enumerate(files[1:]):
        (tmp_path / f"of {number}").mkdir()
        (tmp_path / f"of {number}" / "manifest.json").write_bytes(one["manifest.json"])
        manifests.append(without_training(read_manifest(tmp_path / f"of {number}")))
    for limit in range(200):
        path = tmp_path / str(limit)
        folder = CheckpointFolder(path, sync_seconds)
        folder.save(files[0])
        folder.save(files[1])
        folder.keep_best(folder.last)
        made = 0
        done = save_two_more(folder)
        newest = newest_epoch(path)
        assert newest is not None
        assert newest >= (done if sync_seconds == 0 else 0), f"before call {limit}"
        assert folder.best.exists(), "a new process has put the best one back"
        assert read_manifest(folder.best) in manifests
        if done == 3:
            break
    assert limit > 10


SAVES_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
from cifar_tune.training.storage import CheckpointFolder

files = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
folder = CheckpointFolder(Path(sys.argv[2]), sync_seconds=0)
for epoch in count():
    folder.save(files)
    folder.keep_best(folder.last)
    print(epoch, flush=True)
"""


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_a_whole_checkpoint(files: list[Files], tmp_path: Path) -> None:
    source = CheckpointFolder(tmp_path / "source")
    source.save(files[0])
    arguments = [sys.executable, "-c", SAVES_FOR_EVER, str(source.last), str(tmp_path / "target")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert newest_epoch(tmp_path / "target") == 0
