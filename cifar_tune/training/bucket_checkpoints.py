"""A trial's checkpoints at an address of an object store, where any node goes on from them."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from cifar_tune.layout import BEST, LAST, PREVIOUS
from cifar_tune.storage.address import Address, copy_in_order, read_if_there, side_by_side, write_in_order, write_whole
from cifar_tune.training.checkpoint import Checkpoint
from cifar_tune.training.manifest import MANIFEST, MODEL, TRAINING, TRIAL, read_manifest, sealed, without_training
from cifar_tune.training.storage import CheckpointFolder

NAMES = (MODEL, TRAINING, TRIAL, MANIFEST)


class BucketCheckpoints(CheckpointFolder):
    """As a folder of checkpoints, but that nothing in a store is renamed: a whole `last` is copied to `previous` first.

    Each manifest comes after what it lists, so of the two one is whole at every instant. path: a folder of this machine
    where what was read lies.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(Path(mkdtemp(prefix="cifar_tune.")))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self._shared = self._address = address
        self._last_is_whole = False

    def save(self, files: Mapping[str, bytes]) -> None:
        """Makes `files` the last checkpoint; they are at the address when this returns.

        Raises:
            CheckpointError: Another process has taken over the trial.
            StorageError: The address cannot be written to.
        """
        self._keep_others_out()
        if self._last_is_whole:
            copy_in_order(self._address / LAST, self._address / PREVIOUS, NAMES, MANIFEST)
        self._last_is_whole = False
        write_in_order(self._address / LAST, files, MANIFEST)
        self._last_is_whole = True

    def keep_best(self, checkpoint: Path) -> None:
        """Makes the weights of `last` or `previous`, whichever this is, the best ones. Raises StorageError."""
        source, best = self._address / checkpoint.name, self._address / BEST
        manifest = read_manifest(source)
        if manifest["format"] == 1:  # whose curve is in the file that the others leave out
            copy_in_order(source, best, NAMES, MANIFEST)
            return
        side_by_side(lambda name: (source / name).copy_to(best / name), (MODEL, TRIAL))
        (best / MANIFEST).write_bytes(sealed(without_training(manifest)))

    def newest(self) -> Checkpoint | None:
        """Returns the newest whole checkpoint that training can go on from, or None; of a corrupt one it is warned.

        Raises:
            CheckpointError: It was written in another format.
            StorageError: The address cannot be read.
        """
        for name in (LAST, PREVIOUS):
            self._fetch(name)
        found = super().newest()
        self._last_is_whole = found is not None and found.folder == self.last
        return found

    def _fetch(self, name: str) -> None:
        def fetch(file: str) -> None:
            content = read_if_there(self._address / name / file)
            if content is not None:
                write_whole(self.path / name / file, content)

        side_by_side(fetch, NAMES)


def checkpoint_folder_at(place: Path | Address) -> CheckpointFolder:
    """Returns the checkpoints of one trial, in a folder or at an address."""
    return CheckpointFolder(place) if isinstance(place, Path) else BucketCheckpoints(place)
