"""Files that are read where they are needed: on this machine, or fetched from an address."""

from __future__ import annotations

import os
from pathlib import Path

from cifar_tune.storage.address import Address, Stamp, place, side_by_side, write_whole
from cifar_tune.storage.replica import replica_folder

COPIES = "copies"


def absolute(text: str) -> str:
    """Returns a path from the root, which means the same in another folder; an address is one already."""
    return text if "://" in text else str(Path(text).expanduser().absolute())


def copy_here(text: str) -> Path:
    """Returns a file or folder of this machine; of an address a copy of the file, or of the folder's files, there now.

    Raises:
        StorageError: an address is none of a store, or cannot be read.
    """
    named = place(text)
    if isinstance(named, Path):
        return named
    folder = replica_folder(named, COPIES)
    if (stamp := named.stamp()) is not None:
        _fetch(named, folder, stamp)
        return folder
    there = {name: stamp for name, stamp in named.objects().items() if "/" not in name}
    side_by_side(lambda name: _fetch(named / name, folder / name, there[name]), there)
    for path in folder.glob("[!.]*"):
        if path.name not in there:
            path.unlink(missing_ok=True)
    return folder


def _fetch(address: Address, path: Path, stamp: Stamp) -> None:
    """Brings an object here, unless the copy that is here has its size and time."""
    size, changed_at = stamp[0], int(stamp[1] * 1000) * 1_000_000
    if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) == (size, changed_at):
        return
    write_whole(path, address.read_bytes())
    os.utime(path, ns=(changed_at, changed_at))
