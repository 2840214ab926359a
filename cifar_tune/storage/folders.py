"""Which folder of this machine stands for which address, while it does: rooms that write into one need not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_tune.errors import CifarTuneError
from cifar_tune.storage.address import Address
from cifar_tune.storage.replica import Replica

_replicas: dict[Path, Replica] = {}


@contextmanager
def mirrored(address: Address) -> Iterator[Replica]:
    """Yields the replica of an address; inside the block its folder stands for the address, and errors name that."""
    replica = Replica(address)
    if replica.folder in _replicas:
        yield _replicas[replica.folder]
        return
    _replicas[replica.folder] = replica
    try:
        yield replica
    except CifarTuneError as error:
        error.args = tuple(as_named(str(one)) for one in error.args)
        raise
    finally:
        del _replicas[replica.folder]


def replica_of(folder: Path) -> Replica | None:
    """Returns the replica whose folder this is, or is inside; None of a folder that stands for itself."""
    folder = folder.resolve()
    return next((_replicas[one] for one in (folder, *folder.parents) if one in _replicas), None)


def place_of(folder: Path) -> Path | Address:
    """Returns where all nodes find what belongs in a folder: its address, if it stands for one, else itself."""
    folder, replica = folder.resolve(), replica_of(folder)
    if replica is None:
        return folder
    place = replica.address
    for name in folder.relative_to(replica.folder).parts:
        place /= name
    return place


def named_place(folder: Path) -> Path | Address:
    """Returns a folder itself, or the address that it stands for: what a user knows it as."""
    return folder if replica_of(folder) is None else place_of(folder)


def named(folder: Path) -> str:
    """Returns how a user names a folder: by its address, if it stands for one."""
    return str(named_place(folder))


def as_named(text: str) -> str:
    """Returns a text with folders and files in it as a user names them."""
    for folder in _replicas:
        path = re.compile(rf"{re.escape(str(folder))}(/[^\s:;,'\"()]+)?")
        text = path.sub(lambda found: named(Path(found.group())), text)
    return text


def secure(ledger: Path) -> None:
    """Returns when the address that a ledger's folder stands for, if any, has all of its events.

    Raises:
        StorageError: it cannot be written to.
        ResultsError: another process has taken over there.
    """
    if (replica := replica_of(ledger)) is not None:
        replica.secure(ledger.resolve())


@contextmanager
def fetched(place: Path | Address) -> Iterator[Path]:
    """Yields a folder with what is at a place now, without checkpoints. Raises StorageError."""
    if isinstance(place, Path):
        yield place
        return
    with mirrored(place) as replica:
        replica.fetch()
        yield replica.folder


def move(source: Path | Address, target: Path | Address) -> None:
    """Renames a folder; or moves what is at an address beside it, with the folder that stands for either of the two.

    Raises:
        StorageError: as `Replica.move`.
    """
    match source, target:
        case Path(), Path():
            source.rename(target)
        case Address(), Address():
            standing = {replica.address: replica for replica in _replicas.values()}
            (standing.get(source) or standing[target]).move(source, target)


def fetch_checkpoints(trial: Path) -> None:
    """Brings the checkpoints of a trial into its folder from the address that this stands for, if any."""
    if (replica := replica_of(trial)) is not None:
        replica.fetch(trial.relative_to(replica.folder).as_posix())
