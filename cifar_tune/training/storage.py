"""Where a trial's checkpoints lie, and how one takes the place of another without a moment when none is whole."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

from cifar_tune.training.checkpoint import Checkpoint, CorruptCheckpointError, read_checkpoint

LAST, PREVIOUS, BEST = "last", "previous", "best"


def save(checkpoints: Path, files: Mapping[str, bytes]) -> Path:
    """Makes `files` the last checkpoint and the last one the previous; returns the new one's folder.

    All is on the disk before anything is renamed. Killed at any moment, `last` or `previous` is whole.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    new = _empty(checkpoints / ".last.new")
    for name, content in files.items():
        (new / name).write_bytes(content)
    for name in files:
        _sync(new / name)
    _sync(new)
    last, previous = checkpoints / LAST, checkpoints / PREVIOUS
    if last.exists():
        shutil.rmtree(previous, ignore_errors=True)
        last.rename(previous)
    new.rename(last)
    _sync(checkpoints)
    return last


def keep_best(checkpoints: Path, checkpoint: Path) -> None:
    """Makes this checkpoint the best one; its files are shared, not copied, where the disk can."""
    new, best, before = _empty(checkpoints / ".best.new"), checkpoints / BEST, checkpoints / ".best.before"
    for path in checkpoint.iterdir():
        try:
            os.link(path, new / path.name)
        except OSError:
            shutil.copyfile(path, new / path.name)
            _sync(new / path.name)
    shutil.rmtree(before, ignore_errors=True)
    if best.exists():
        best.rename(before)
    new.rename(best)
    shutil.rmtree(before, ignore_errors=True)


def newest(checkpoints: Path) -> Checkpoint | None:
    """Returns the newest whole checkpoint, or None; a corrupt one is put aside with a warning.

    Raises:
        CheckpointError: It was written in another format.
    """
    best, before = checkpoints / BEST, checkpoints / ".best.before"
    if before.exists() and not best.exists():
        before.rename(best)
    for folder in (checkpoints / LAST, checkpoints / PREVIOUS):
        if not folder.exists():
            continue
        try:
            return read_checkpoint(folder)
        except CorruptCheckpointError as error:
            aside = folder.with_name(f"{folder.name}.corrupt")
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            warnings.warn(f"{error}; put aside as {aside.name}, going on from the checkpoint before", stacklevel=2)
    return None


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
