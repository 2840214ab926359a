"""What the manifest of a checkpoint says. No torch here: a driver reads manifests, too.

A checkpoint has all that training needs to go on, or the weights alone: then `state.pt` is neither listed nor there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_tune.errors import CheckpointError
from cifar_tune.layout import MODEL_FILE, TRIAL_FILE
from cifar_tune.storage.address import Address, read_if_there

FORMAT = 2
"""Format 1 kept the curve in `state.pt`, so that no checkpoint could be without it. It is read still."""

MODEL, TRAINING, TRIAL, MANIFEST = MODEL_FILE, "state.pt", TRIAL_FILE, "manifest.json"
CHECKSUM = "checksum"
"""Of the manifest's other entries; not in checkpoints of version 0.1."""

ENTRIES = {
    1: {"format": int, "epoch": int, "dataset": dict, "files": dict},
    2: {"format": int, "epoch": int, "dataset": dict, "files": dict, "history": list},
}
"""Of a manifest of each format, beside its checksum. history: one record an epoch."""


ENVIRONMENTS = "environments"
"""Of a manifest: in which the epochs were computed. Older checkpoints lack it."""


class CorruptCheckpointError(CheckpointError):
    """A file of the checkpoint is missing or not what was written; an older checkpoint may be whole."""


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """Returns a manifest as it is written, with its own checksum."""
    return json.dumps({**manifest, CHECKSUM: _checksum(manifest)}, indent=2).encode()


def read_manifest(folder: Path | Address) -> dict[str, Any]:
    """Returns the manifest in a checkpoint's folder, without its checksum, which is right.

    Raises:
        CheckpointError: It is corrupt or missing, or was written in another format.
    """
    path = folder / MANIFEST
    try:
        content = read_if_there(path)
        if content is None:
            raise CorruptCheckpointError(f"{path} is missing: {folder} is not a whole checkpoint")
        manifest = dict(json.loads(content))
        version = manifest["format"]
    except NotADirectoryError:
        raise CorruptCheckpointError(f"{path} is missing: {folder} is not a whole checkpoint") from None
    except (ValueError, TypeError, KeyError):
        raise CorruptCheckpointError(f"{path} is corrupt") from None
    checksum = manifest.pop(CHECKSUM, None)
    if checksum not in (None, _checksum(manifest)):
        raise CorruptCheckpointError(f"{path} is corrupt: its checksum is not its own")
    if version not in ENTRIES:
        formats = " and ".join(map(str, ENTRIES))
        raise CheckpointError(f"{folder} is in checkpoint format {version}; this version of cifar_tune reads {formats}")
    if {key: type(value) for key, value in manifest.items() if key != ENVIRONMENTS} != ENTRIES[version]:
        raise CorruptCheckpointError(f"{path} is corrupt")
    return manifest


def without_training(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the manifest of the same checkpoint with the weights alone."""
    files = {name: checksum for name, checksum in manifest["files"].items() if name != TRAINING}
    return {**manifest, "files": files}


def epoch_of(folder: Path | Address) -> int | None:
    """Returns after which epoch training can go on from a checkpoint; None where it cannot."""
    try:
        manifest = read_manifest(folder)
    except CheckpointError:
        return None
    epoch: int = manifest["epoch"]
    return epoch if TRAINING in manifest["files"] else None


def has_weights_alone(folder: Path | Address) -> bool:
    """Returns whether there is a checkpoint that training cannot go on from."""
    try:
        return TRAINING not in read_manifest(folder)["files"]
    except CheckpointError:
        return False


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
