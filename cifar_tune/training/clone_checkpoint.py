"""A trial that begins from the checkpoint of another."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from cifar_tune.layout import LAST, PREVIOUS
from cifar_tune.storage.address import Address, copy_in_order, write_whole
from cifar_tune.training.manifest import MANIFEST, epoch_of

ORIGIN = "origin.json"
"""File in a trial's folder that says whose checkpoint it began from."""


def clone_checkpoint(folder: Path | Address, parent: Path | Address, epoch: int) -> None:
    """Gives a trial that has no checkpoint yet that of another after so many epochs, if it is still there.

    folder, parent: of the two trials' checkpoints, both folders or both addresses. Files are shared, not copied,
    where the disk can; whether they are whole is seen when they are read.
    """
    sources = [source for source in (parent / LAST, parent / PREVIOUS) if epoch_of(source) == epoch]
    if not sources or any((folder / name / MANIFEST).exists() for name in (LAST, PREVIOUS)):
        return
    write_whole(folder / ORIGIN, json.dumps({"trial_id": parent.name, "epoch": epoch}).encode())
    _copy(sources[0], folder / LAST)


def _copy(source: Path | Address, target: Path | Address) -> None:
    """Copies a checkpoint so that it is there whole or not at all."""
    if isinstance(source, Address):
        assert isinstance(target, Address)
        copy_in_order(source, target, source.objects(), MANIFEST)
        return
    assert isinstance(target, Path)
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for path in source.iterdir():
        try:
            os.link(path, new / path.name)
        except OSError:
            shutil.copyfile(path, new / path.name)
    new.rename(target)


def origin_of(checkpoint: Path) -> tuple[str, int] | None:
    """Returns whose checkpoint the trial of a checkpoint began from, and after which epoch; None of a fresh one."""
    try:
        found = json.loads((checkpoint.parent / ORIGIN).read_bytes())
        return str(found["trial_id"]), int(found["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
