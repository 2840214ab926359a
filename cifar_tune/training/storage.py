"""Where a trial's checkpoints lie, and how one takes the place of another without a moment when none is whole."""

from __future__ import annotations

import os
import shutil
import time
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path

from cifar_tune.errors import CheckpointError
from cifar_tune.layout import BEST, LAST, PREVIOUS
from cifar_tune.storage.address import Address, read_if_there, write_whole
from cifar_tune.training.checkpoint import Checkpoint, read_checkpoint
from cifar_tune.training.manifest import (
    MANIFEST,
    TRAINING,
    CorruptCheckpointError,
    read_manifest,
    sealed,
    without_training,
)

WRITER = ".writer"
"""File in a trial's folder that names the process which may save there: the last of all that began to."""

SYNC_SECONDS = 10.0
"""Training that the loss of the machine, not of the process, may cost. Writing to the disk itself takes some 5 to 40 ms
a checkpoint, where an epoch of a narrow net on digits takes 50."""


class CheckpointFolder:
    """The checkpoints of one trial, which one process at a time writes.

    A worker whose node was cut off may still train while another has taken over its trial: the first checkpoint that
    the other saves is the last moment at which the first one can.

    A saved checkpoint survives the process at once. It survives the machine if `sync_seconds` had passed since the last
    one that does; that one is kept as `previous` until then.
    """

    def __init__(self, path: Path, sync_seconds: float = SYNC_SECONDS) -> None:
        self.path = path
        self._shared: Path | Address = path
        self.last, self.previous, self.best = path / LAST, path / PREVIOUS, path / BEST
        self._writer = uuid.uuid4().hex.encode()
        self._has_saved = False
        self._sync_seconds = sync_seconds
        self._synced_at = float("-inf")
        self._last_is_synced = True

    def save(self, files: Mapping[str, bytes]) -> None:
        """Makes `files` the last checkpoint. Killed at any moment, `last` or `previous` is whole.

        Raises:
            CheckpointError: Another process has taken over the trial.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._keep_others_out()
        new = _empty(self.path / ".last.new")
        for name, content in files.items():
            (new / name).write_bytes(content)
        is_synced = time.monotonic() - self._synced_at >= self._sync_seconds
        if is_synced:
            for path in (*(new / name for name in files), new):
                _sync(path)
        if self.last.exists():
            older = self.previous if self._last_is_synced else self.path / ".last.before"
            shutil.rmtree(older, ignore_errors=True)
            self.last.rename(older)
        new.rename(self.last)
        if is_synced:
            _sync(self.path)
            self._synced_at = time.monotonic()
        self._last_is_synced = is_synced
        shutil.rmtree(self.path / ".last.before", ignore_errors=True)

    def _keep_others_out(self) -> None:
        note = self._shared / WRITER
        found = read_if_there(note)
        if self._has_saved and found not in (None, self._writer):
            raise CheckpointError(f"{self._shared}: another process has taken over this trial; nothing is saved here")
        if found != self._writer:
            write_whole(note, self._writer)
        self._has_saved = True

    def keep_best(self, checkpoint: Path) -> None:
        """Makes this checkpoint's weights the best ones; their file is shared, not copied, where the disk can."""
        new, before = _empty(self.path / ".best.new"), self.path / ".best.before"
        manifest = read_manifest(checkpoint)
        whole = manifest["format"] == 1  # whose curve is in the file that the others leave out
        for path in checkpoint.iterdir():
            if not whole and path.name in (TRAINING, MANIFEST):
                continue
            try:
                os.link(path, new / path.name)
            except OSError:
                shutil.copyfile(path, new / path.name)
        if not whole:
            (new / MANIFEST).write_bytes(sealed(without_training(manifest)))
        shutil.rmtree(before, ignore_errors=True)
        if self.best.exists():
            self.best.rename(before)
        new.rename(self.best)
        shutil.rmtree(before, ignore_errors=True)

    def newest(self) -> Checkpoint | None:
        """Returns the newest whole checkpoint that training can go on from, or None.

        A corrupt one is put aside with a warning.

        Raises:
            CheckpointError: It was written in another format.
        """
        before = self.path / ".best.before"
        if before.exists() and not self.best.exists():
            before.rename(self.best)
        checkpoint, corrupt = None, []
        for folder in (self.last, self.previous):
            if checkpoint is not None or not folder.exists():
                continue
            try:
                found = read_checkpoint(folder)
                checkpoint = found if found.resumable else None
            except CorruptCheckpointError as error:
                aside = folder.with_name(f"{folder.name}.corrupt")
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
                corrupt.append(f"{error}; put aside as {aside.name}")
        if corrupt:
            next_best = "beginning anew" if checkpoint is None else f"going on from {checkpoint.folder.name}"
            warnings.warn(f"{'; '.join(corrupt)}; {next_best}", stacklevel=2)
        return checkpoint


def trial_folder(checkpoint: Path) -> Path:
    """Returns the folder of the trial that a checkpoint is of; of one that stands alone, its own."""
    return checkpoint.parent if checkpoint.name in (LAST, PREVIOUS, BEST) else checkpoint


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
