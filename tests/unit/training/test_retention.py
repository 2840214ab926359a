"""What stays of the checkpoints of a trial that has ended."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
import torch

from cifar_tune.training.checkpoint import read_checkpoint, serialize
from cifar_tune.training.data import TrainingData
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.manifest import CHECKSUM, MANIFEST, TRAINING, TRIAL, sealed
from cifar_tune.training.retention import Kept, checkpoint_files, freed_bytes, removal, trial_files
from cifar_tune.training.state import create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

WEIGHTS = {"model.safetensors", "trial.json", "manifest.json"}
WHOLE = {*WEIGHTS, "state.pt"}


@pytest.fixture
def trial(small_trial: Callable[..., TrialConfig], small_data: Callable[..., TrainingData], tmp_path: Path) -> Path:
    """A trial of three epochs, of which the second is the best."""
    config, data = small_trial(epochs=3), small_data()
    state = create_state(config, data.info, torch.device("cpu"))
    folder = CheckpointFolder(tmp_path / "t0001", sync_seconds=0)
    for epoch, _ in enumerate(train_epochs(state, data, config), start=1):
        folder.save(serialize(state, config, data.info))
        if epoch == 2:
            folder.keep_best(folder.last)
    (folder.path / "evaluation").mkdir()
    (folder.path / "evaluation" / "page.html").write_text("of the user")
    return folder.path


def as_of_format_1(checkpoint: Path) -> None:
    """Rewrites a whole checkpoint as earlier versions did: the curve is in `state.pt`."""
    manifest = json.loads((checkpoint / MANIFEST).read_bytes())
    del manifest[CHECKSUM]
    training = torch.load(checkpoint / TRAINING, weights_only=True) | {"history": manifest.pop("history")}
    stream = BytesIO()
    torch.save(training, stream)
    (checkpoint / TRAINING).unlink()
    (checkpoint / TRAINING).write_bytes(stream.getvalue())
    manifest["files"][TRAINING] = hashlib.sha256(stream.getvalue()).hexdigest()
    (checkpoint / MANIFEST).unlink()
    (checkpoint / MANIFEST).write_bytes(sealed({**manifest, "format": 1}))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize(
    ("kept", "last", "best", "previous"),
    [
        ("everything", WHOLE, WEIGHTS, WHOLE),
        ("training", WHOLE, WEIGHTS, set()),
        ("weights", WEIGHTS, WEIGHTS, set()),
        ("best", set(), WEIGHTS, set()),
        ("nothing", set(), set(), set()),
    ],
)
def test_of_an_ended_trial_stays_what_is_kept(
    kept: Kept, last: set[str], best: set[str], previous: set[str], trial: Path
) -> None:
    before = {name: read_checkpoint(trial / name) for name in ("last", "best")}
    removal(trial, trial_files(trial), kept).carry_out()
    assert (names(trial / "last"), names(trial / "best"), names(trial / "previous")) == (last, best, previous)
    assert (trial / "evaluation" / "page.html").exists(), "what a user made of it is not a checkpoint"
    for name in (one for one in before if (trial / one).exists()):
        after = read_checkpoint(trial / name)
        assert after.digest == before[name].digest
        assert after.history == before[name].history
    newest = CheckpointFolder(trial).newest()
    assert (newest is not None) == (kept in ("everything", "training"))
    again = removal(trial, trial_files(trial), kept)
    assert not again.files, "done again, there is nothing left to delete"


def test_of_a_trial_with_nothing_left_the_configuration_can_be_trained_again(trial: Path) -> None:
    from cifar_tune.cli.train import trial_file

    before = (trial / "last" / TRIAL).read_bytes()
    removal(trial, trial_files(trial), "nothing").carry_out()
    assert trial_file(trial).read_bytes() == before


def test_without_a_best_checkpoint_the_last_weights_stay(trial: Path) -> None:
    """As where no image was held out to validate on."""
    for path in (trial / "best").iterdir():
        path.unlink()
    removal(trial, trial_files(trial), "best").carry_out()
    assert names(trial / "last") == WEIGHTS


def test_checkpoints_of_earlier_versions_are_read_and_may_lose_what_training_needs(trial: Path) -> None:
    as_of_format_1(trial / "last")
    before = read_checkpoint(trial / "last")
    assert before.resumable
    assert len(before.history) == 3
    assert not removal(trial, trial_files(trial), "weights", older=False).files, "a sweep leaves them as they are"
    removal(trial, trial_files(trial), "weights").carry_out()
    after = read_checkpoint(trial / "last")
    assert names(trial / "last") == WEIGHTS
    assert (after.digest, after.history, after.resumable) == (before.digest, before.history, False)


def test_what_goes_on_from_an_earlier_versions_checkpoint_keeps_its_best(trial: Path) -> None:
    as_of_format_1(trial / "last")
    folder = CheckpointFolder(trial)
    folder.keep_best(folder.last)
    assert read_checkpoint(folder.best).history == read_checkpoint(folder.last).history


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("kept", ["training", "weights", "best", "nothing"])
def test_killed_before_any_deletion_what_is_kept_is_whole_and_the_rest_goes_the_next_time(
    kept: Kept, trial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, limit = os.unlink, 0

    def until_killed(path: Path) -> None:
        nonlocal limit
        if limit == 0:
            raise Killed
        limit -= 1
        unlink(path)

    for allowed in range(len(trial_files(trial)) + 1):
        copy = shutil.copytree(trial, tmp_path / f"killed-{allowed}")
        limit = allowed
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", until_killed)
            with suppress(Killed):
                removal(copy, trial_files(copy), kept).carry_out()
        for name in ("last", "best") if kept in ("training", "weights") else ("best",) if kept == "best" else ():
            assert read_checkpoint(copy / name).digest == read_checkpoint(trial / name).digest
        removal(copy, trial_files(copy), kept).carry_out()
        assert (
            trial_files(copy).keys()
            == {
                "training": {f"last/{one}" for one in WHOLE} | {f"best/{one}" for one in WEIGHTS},
                "weights": {f"{part}/{one}" for part in ("last", "best") for one in WEIGHTS},
                "best": {f"best/{one}" for one in WEIGHTS},
                "nothing": set(),
            }[kept]
        )


def test_what_is_freed_is_what_the_disk_has_more_then(trial: Path) -> None:
    """A file that `last` and `best` share is freed with the last of its names."""
    folder = CheckpointFolder(trial)
    folder.keep_best(folder.last)
    assert checkpoint_files(trial.parent) == {"t0001": trial_files(trial)}
    for kept in ("training", "weights", "best", "nothing"):
        before = on_disk(trial)
        plan = removal(trial, trial_files(trial), kept)
        told = freed_bytes([plan])
        plan.carry_out()
        moved = (trial / TRIAL).stat().st_size if kept == "nothing" else 0
        rewritten = 200  # bytes by which a manifest becomes shorter without the file
        assert told == pytest.approx(before - on_disk(trial) + moved, abs=rewritten)


def on_disk(folder: Path) -> int:
    files = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return sum(files.values())
