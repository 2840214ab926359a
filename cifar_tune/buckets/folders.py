"""Which folder of this machine stands for which address, while it does: rooms that write into one need not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_tune.buckets.address import Address
from cifar_tune.buckets.replica import Replica

_replicas: dict[Path, Replica] = {}


@contextmanager
def standing_for(address: Address) -> Iterator[Replica]:
    """Yields the replica of an address; inside the block its folder stands for the address."""
    replica = Replica(address)
    if replica.folder in _replicas:
        yield _replicas[replica.folder]
        return
    _replicas[replica.folder] = replica
    try:
        yield replica
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


def named(folder: Path) -> str:
    """Returns how a user names a folder: by its address, if it stands for one."""
    return str(folder if replica_of(folder) is None else place_of(folder))


def secure(ledger: Path) -> None:
    """Returns when the address that a ledger's folder stands for, if any, has all of its events.

    Raises:
        StorageError: it cannot be written to.
        ResultsError: another process has taken over there.
    """
    if (replica := replica_of(ledger)) is not None:
        replica.secure(ledger.resolve())


def fetched(place: Path | Address) -> Path:
    """Returns a folder with what is at a place now, without checkpoints. Raises StorageError."""
    if isinstance(place, Path):
        return place
    with standing_for(place) as replica:
        replica.fetch()
        return replica.folder


def fetch_checkpoints(trial: Path) -> None:
    """Brings the checkpoints of a trial into its folder from the address that this stands for, if any."""
    if (replica := replica_of(trial)) is not None:
        replica.fetch(trial.relative_to(replica.folder).as_posix())
