"""What is deleted of the checkpoints of a trial that has ended, in a folder or at an address. No torch here.

Of a checkpoint that loses what training needs, the manifest is written first and the file deleted then. Killed in
between, the checkpoint is whole, and the file, which no manifest lists, goes with the next removal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from cifar_tune.errors import CheckpointError
from cifar_tune.layout import BEST, LAST
from cifar_tune.storage.address import Address, read_if_there, side_by_side, write_whole
from cifar_tune.training.manifest import (
    FORMAT,
    MANIFEST,
    MODEL,
    TRAINING,
    TRIAL,
    read_manifest,
    sealed,
    without_training,
)

Kept = Literal["everything", "training", "weights", "best", "nothing"]
"""What stays of a trial's checkpoints.

training: `last` with all that training needs to go on, and `best`. weights: the weights of both. best: those of `best`.
nothing: the trial's configuration, from which it can be trained again.
"""

LEFTOVERS = ("previous", "last.corrupt", "previous.corrupt", ".last.new", ".last.before", ".best.new", ".best.before")
"""What else training leaves beside `last` and `best`; of no use once the trial has ended."""

Files = Mapping[str, int]
"""Bytes of each file of a trial's checkpoints, by its path in the trial's folder."""


@dataclass(frozen=True)
class Removal:
    """What is to be deleted of a trial. weights_alone: the checkpoints that lose what training needs to go on."""

    trial: Path | Address
    files: Files
    weights_alone: tuple[str, ...] = ()
    keeps_configuration: bool = True

    def carry_out(self) -> None:
        """Deletes. Raises OSError."""
        if not self.keeps_configuration:
            self._move_configuration_out()
        for name in self.weights_alone:
            write_whole(self.trial / name / MANIFEST, sealed(_weights_manifest(self.trial / name)))
        # without its manifest a checkpoint is none, so that no half of one is taken for a whole
        manifests = [name for name in self.files if name.endswith(f"/{MANIFEST}")]
        for part in (manifests, [name for name in self.files if name not in manifests]):
            side_by_side(lambda name: (self.trial / name).unlink(), part)
        if isinstance(self.trial, Path):
            for folder in {(self.trial / name).parent for name in self.files}:
                if not any(folder.iterdir()):
                    folder.rmdir()

    def _move_configuration_out(self) -> None:
        for name in (LAST, BEST, "previous"):
            content = read_if_there(self.trial / name / TRIAL)
            if content is not None:
                write_whole(self.trial / TRIAL, content)
                return


def removal(trial: Path | Address, files: Files, kept: Kept, *, older: bool = True) -> Removal:
    """Returns what is to be deleted so that of a trial's checkpoints no more is left than is kept.

    files: see `checkpoint_files`. older: also of checkpoints of an older format, which takes torch.
    """
    if kept == "everything" or not files:
        return Removal(trial, {})
    if kept == "nothing":
        return Removal(trial, files, keeps_configuration=False)
    manifests = {name: _manifest(trial / name) for name in (LAST, BEST) if f"{name}/{MANIFEST}" in files}
    whole = {name: manifest for name, manifest in manifests.items() if manifest}
    if not older and any(manifest["format"] != FORMAT for manifest in whole.values()):
        return Removal(trial, {})
    folders = {*LEFTOVERS, *([LAST] if kept == "best" and BEST in whole else [])}
    slim = {name: one for name, one in whole.items() if name not in folders and (kept != "training" or name == BEST)}
    gone = {name for name in files if name.split("/")[0] in folders}
    gone |= files.keys() & {f"{name}/{TRAINING}" for name in slim}
    listed = tuple(name for name, manifest in slim.items() if TRAINING in manifest["files"])
    return Removal(trial, {name: size for name, size in files.items() if name in gone}, listed)


def checkpoint_files(checkpoints: Path | Address) -> dict[str, dict[str, int]]:
    """Returns the files of checkpoints by trial; pages and pictures about them are not among them.

    checkpoints: the folder of a sweep's trials, or its address.

    Raises:
        StorageError: the address cannot be read.
    """
    found: dict[str, dict[str, int]] = {}
    if isinstance(checkpoints, Address):
        for name, (size, _) in checkpoints.objects().items():
            trial_id, _, inside = name.partition("/")
            if inside.split("/")[0] in (LAST, BEST, *LEFTOVERS):
                found.setdefault(trial_id, {})[inside] = size
        return found
    for trial in sorted(checkpoints.iterdir()) if checkpoints.is_dir() else ():
        if files := trial_files(trial):
            found[trial.name] = files
    return found


def trial_files(trial: Path | Address) -> dict[str, int]:
    """Returns the files of one trial's checkpoints. Raises StorageError."""
    if isinstance(trial, Address):
        objects = {name: size for name, (size, _) in trial.objects().items()}
        return {name: size for name, size in objects.items() if name.split("/")[0] in (LAST, BEST, *LEFTOVERS)}
    folders = [trial / name for name in (LAST, BEST, *LEFTOVERS) if (trial / name).is_dir()]
    paths = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return {path.relative_to(trial).as_posix(): path.stat().st_size for path in paths}


def freed_bytes(removals: Iterable[Removal]) -> int:
    """Returns the bytes that the disk has more when all is deleted: of a file with several names only with its last."""
    gone: Counter[tuple[int, int]] = Counter()
    links: dict[tuple[int, int], tuple[int, int]] = {}
    freed = 0
    for one in removals:
        for name, size in one.files.items():
            if isinstance(one.trial, Address):
                freed += size
                continue
            status = (one.trial / name).stat()
            gone[status.st_dev, status.st_ino] += 1
            links[status.st_dev, status.st_ino] = status.st_nlink, size
    return freed + sum(size for file, (names, size) in links.items() if gone[file] == names)


def _manifest(checkpoint: Path | Address) -> Mapping[str, Any] | None:
    """Returns the manifest of a checkpoint that offers its weights for use, or None."""
    try:
        manifest = read_manifest(checkpoint)
    except CheckpointError:
        return None
    return manifest if MODEL in manifest["files"] else None


def _weights_manifest(checkpoint: Path | Address) -> dict[str, object]:
    """Returns the manifest of a checkpoint with the weights alone; of format 1 it gets the curve from `state.pt`."""
    manifest = read_manifest(checkpoint)
    if manifest["format"] == 1:
        import torch

        training = torch.load(BytesIO((checkpoint / TRAINING).read_bytes()), map_location="cpu", weights_only=True)
        manifest |= {"format": FORMAT, "history": training["history"]}
    return without_training(manifest)
