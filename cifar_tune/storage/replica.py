"""A folder of this machine that stands for an address: read from there, and what is written in it goes there.

The address is the truth. Each of its objects is whole or not there, and tables are sent after the ledger that they
follow from. Of a ledger what was added since it was last sent whole lies beside it, so that to secure an event takes
one small object. Checkpoints are not sent from here: the nodes write them to the address themselves.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from cifar_tune.errors import ResultsError, StorageError
from cifar_tune.layout import CHECKPOINTS, DRIVER_NAME, LOCK_NAME
from cifar_tune.storage.address import Address, Stamp, read_if_there, side_by_side, write_whole
from cifar_tune.storage.user_cache import user_cache

GROWING = ".jsonl"
"""Suffix of files that are only appended to, a line at a time."""
ADDED = ".added-"
"""Stands between such a file's name and the byte at which the object begins that holds what was added."""


PAUSE_SECONDS = 5.0
"""A note of ours at the address is believed to be ours still for so long."""
BEAT_SECONDS, LEASE_SECONDS = 30.0, 120.0
"""How often a driver says at the address that it is there, and how long it is believed."""
BETWEEN_BEATS = 200
"""Requests of a second, 8 at once, take less time than a driver is believed for."""


class Replica:
    """The folder and its address."""

    def __init__(self, address: Address) -> None:
        self.address, self.folder = address, replica_folder(address)
        self._lock = threading.RLock()
        self._index_path, self._fetch_lock = (
            self.folder.with_name(f".{self.folder.name}.{suffix}") for suffix in ("index.json", "lock")
        )
        self._index = _read_index(self._index_path)
        """By file that was the same in both places: its stamp there, if known, and here."""
        self._ledgers: dict[str, tuple[int, int]] = {}
        """By file that grows: its length at the address, without and with what was added."""
        self._added: set[str] = set()
        """Objects that hold what was added."""
        self._sent: set[str] = set()
        self._leases: dict[str, tuple[bytes, float, float]] = {}
        """By note of ours: what it says, when it was written, when it was last seen."""

    def fetch(self, below: str | None = None) -> bool:
        """Makes the folder what the address holds, but for checkpoints, of which only those `below` a name are fetched.

        Returns False where a writer is at work in the folder, which is ahead of the address then.

        Raises:
            StorageError: the address cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._fetch_lock), self._lock, ExitStack() as held:
            objects = self.address.objects(without=CHECKPOINTS, patience=0.0)
            self._added = {name for name in objects if ADDED in name}
            there = _with_added(objects)
            alone = self._keeps_writers_out(held)
            wanted = self._wanted(there) if alone else set()
            if below is not None:
                inside = {f"{below}/{name}": stamp for name, stamp in (self.address / below).objects().items()}
                there |= inside
                wanted |= inside.keys()
            side_by_side(lambda name: self._fetch(name, there[name]), self._differing(wanted, there))
            self._write_index()
            return alone

    def send(self) -> None:
        """Brings to the address what has changed in the folder.

        Raises:
            StorageError: the address cannot be written to.
            ResultsError: another process has taken over there.
        """
        with self._lock:
            self._beat()
            here = dict(self._files())
            changed = [name for name, stamp in here.items() if name not in self._index or self._index[name][1] != stamp]
            for growing in (True, False):
                side_by_side(self._send, [name for name in changed if name.endswith(GROWING) == growing])
            gone = self._sent - here.keys()
            side_by_side(lambda name: (self.address / name).unlink(), gone)
            self._sent -= gone
            self._write_index()

    def secure(self, path: Path) -> None:
        """Returns when the address has all that a growing file of the folder holds. Raises: as `send`."""
        with self._lock:
            self._beat()
            name = path.relative_to(self.folder).as_posix()
            content = _whole_lines(path)
            whole, known = self._ledgers.get(name, (0, 0))
            if not whole:
                self._send(name)
            elif len(content) > known:
                added = f"{name}{ADDED}{whole:012}"
                (self.address / added).write_bytes(content[whole:])
                self._added.add(added)
                self._ledgers[name] = whole, len(content)

    def move(self, source: Address, target: Address) -> None:
        """Copies what is at an address to one beside it, deletes it there, and renames the folder. One of them is ours.

        Ledgers are copied last and deleted first: what has one is whole.

        Raises:
            StorageError: not all could be copied, and all is still there; or not all could be deleted.
            ResultsError: another process has taken over here.
        """
        with self._lock:
            target.remove()
            names = [name for name in source.objects() if name != DRIVER_NAME]
            ledgers = [name for name in names if GROWING in name]
            others = [name for name in names if GROWING not in name]
            try:
                for part in (others, ledgers):
                    self._beating(lambda name: (source / name).copy_to(target / name), part)
            except StorageError as error:
                raise StorageError(
                    f"{error}\n{source} cannot be moved to {target} and is as it was; --results names another place"
                ) from error
            for part in (ledgers, others):
                self._beating(lambda name: (source / name).unlink(), part)
            replica_folder(source).rename(replica_folder(target))
            self._index, self._ledgers, self._added, self._sent = {}, {}, set(), set()
            self._write_index()

    def _beating(self, action: Callable[[str], None], names: Sequence[str]) -> None:
        """Does something for each name and keeps our notes fresh meanwhile."""
        for start in range(0, len(names), BETWEEN_BEATS):
            self._beat()
            side_by_side(action, names[start : start + BETWEEN_BEATS])

    def lessee(self, name: str) -> bytes | None:
        """Returns the note at the address that says who writes there; None where it is older than is believed."""
        stamp = (self.address / name).stamp()
        return read_if_there(self.address / name) if stamp is not None and _is_believed(stamp) else None

    def lease(self, name: str, note: bytes) -> None:
        """Leaves a note at the address that says who writes there; `send` keeps it fresh. Raises StorageError."""
        with self._lock:
            (self.address / name).write_bytes(note)
            self._leases[name] = note, time.monotonic(), time.monotonic()

    def end_lease(self, name: str) -> None:
        """Takes the note away if it is still ours. Raises StorageError."""
        with self._lock:
            note, *_ = self._leases.pop(name)
            if read_if_there(self.address / name) == note:
                (self.address / name).unlink()

    def _beat(self) -> None:
        """Raises ResultsError where a note of ours is another's now."""
        for name, (note, written, seen) in list(self._leases.items()):
            now = time.monotonic()
            if now - seen < PAUSE_SECONDS:
                continue
            if read_if_there(self.address / name) != note:
                raise ResultsError(f"{self.address}: another process has taken over; nothing more is written there")
            self._leases[name] = note, written, now
            if now - written >= BEAT_SECONDS:
                self.lease(name, note)

    def _keeps_writers_out(self, held: ExitStack) -> bool:
        """Takes the locks of those that write in the folder or in one inside it, if all are free."""
        try:
            for lock in (*self.folder.glob(LOCK_NAME), *self.folder.glob(f"*/{LOCK_NAME}")):
                held.enter_context(FileLock(lock).acquire(timeout=0))
        except Timeout:
            return False
        return True

    def _wanted(self, there: Mapping[str, Stamp]) -> set[str]:
        """Drops what is no longer at the address; returns what of it is to be the same here."""
        found = {name for name, stamp in there.items() if not name.endswith(DRIVER_NAME) or _is_believed(stamp)}
        for name in [name for name in self._index if name not in found and not _is_of_nodes(name)]:
            (self.folder / name).unlink(missing_ok=True)
            del self._index[name]
        return set() if any(self._is_ahead(name) for name in found if name.endswith(GROWING)) else found

    def _is_ahead(self, name: str) -> bool:
        """Whether a growing file goes on here from what is at the address, which could not be reached then."""
        path = self.folder / name
        if not path.exists() or (name in self._index and self._index[name][1] == _stamp(path)):
            return False
        here, there = _whole_lines(path), self._read(name)
        return len(here) > len(there) and here.startswith(there)

    def _differing(self, names: Collection[str], there: Mapping[str, Stamp]) -> list[str]:
        paths = {name: self.folder / name for name in names}
        return [
            name
            for name, path in paths.items()
            if not path.exists() or self._index.get(name) != (there[name], _stamp(path))
        ]

    def _fetch(self, name: str, stamp: Stamp) -> None:
        content = self._read(name)
        write_whole(self.folder / name, content)
        self._index[name] = stamp, _stamp(self.folder / name)

    def _read(self, name: str) -> bytes:
        """An object, with what was added to it."""
        content = read_if_there(self.address / name) or b""
        for one in sorted(one for one in self._added if one.startswith(f"{name}{ADDED}")):
            start, added = _start(one), read_if_there(self.address / one) or b""
            if start <= len(content) < start + len(added):
                content = content[:start] + added
        return content

    def _send(self, name: str) -> None:
        path = self.folder / name
        try:
            stamp = _stamp(path)
            content = _whole_lines(path) if name.endswith(GROWING) else path.read_bytes()
        except FileNotFoundError:
            return
        (self.address / name).write_bytes(content)
        self._sent.add(name)
        self._index[name] = (0, 0.0), stamp
        if name.endswith(GROWING):
            self._ledgers[name] = len(content), len(content)
            for added in [one for one in self._added if one.startswith(f"{name}{ADDED}")]:
                (self.address / added).unlink()
                self._added.remove(added)

    def _files(self) -> Iterator[tuple[str, Stamp]]:
        """Every file that belongs at the address, with its stamp; what begins with a dot is of this machine."""
        for path, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for one in (Path(path, name) for name in names if not name.startswith(".")):
                if one.exists():
                    yield one.relative_to(self.folder).as_posix(), _stamp(one)

    def _write_index(self) -> None:
        write_whole(self._index_path, json.dumps(self._index).encode())


def replica_folder(address: Address, kind: str = "") -> Path:
    """Returns where this user's copies of what lies at an address are. kind: of those that stand for nothing."""
    return Path(user_cache(), kind, quote(str(address).replace("://", "/"), safe="/")).resolve()


def _with_added(objects: Mapping[str, Stamp]) -> dict[str, Stamp]:
    """The stamps of files as they are once what was added is in them."""
    files = {name: stamp for name, stamp in objects.items() if ADDED not in name}
    for one, (size, changed_at) in objects.items():
        name = one.partition(ADDED)[0]
        if one != name and name in files:
            files[name] = max(files[name][0], _start(one) + size), max(files[name][1], changed_at)
    return files


def _start(added: str) -> int:
    return int(added.rpartition(ADDED)[2])


def _is_believed(stamp: Stamp) -> bool:
    return time.time() - stamp[1] <= LEASE_SECONDS


def _is_of_nodes(name: str) -> bool:
    return CHECKPOINTS in name.split("/")


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def _read_index(path: Path) -> dict[str, tuple[Stamp, Stamp]]:
    try:
        index = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: ((*there,), (*here,)) for name, (there, here) in index.items()}
