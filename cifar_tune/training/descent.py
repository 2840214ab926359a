"""A trial that begins from the checkpoint of another."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

LAST, PREVIOUS, MANIFEST = "last", "previous", "manifest.json"
ORIGIN = "origin.json"
"""File in a trial's folder that says whose checkpoint it began from."""


def adopt(folder: Path, parent: Path, epoch: int) -> None:
    """Gives a trial that has no checkpoint yet that of another after so many epochs, if it is still there.

    folder, parent: of the two trials' checkpoints. Files are shared, not copied, where the disk can; whether they are
    whole is seen when they are read.
    """
    sources = [source for source in (parent / LAST, parent / PREVIOUS) if _epoch_of(source) == epoch]
    if not sources or any((folder / name).exists() for name in (LAST, PREVIOUS)):
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ORIGIN).write_text(json.dumps({"trial_id": parent.name, "epoch": epoch}), encoding="utf-8")
    new = folder / ".last.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for path in sources[0].iterdir():
        try:
            os.link(path, new / path.name)
        except OSError:
            shutil.copyfile(path, new / path.name)
    new.rename(folder / LAST)


def origin_of(checkpoint: Path) -> tuple[str, int] | None:
    """Returns whose checkpoint the trial of a checkpoint began from, and after which epoch; None of a fresh one."""
    try:
        found = json.loads((checkpoint.parent / ORIGIN).read_bytes())
        return str(found["trial_id"]), int(found["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _epoch_of(checkpoint: Path) -> int | None:
    try:
        epoch: int = json.loads((checkpoint / MANIFEST).read_bytes())["epoch"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return epoch
