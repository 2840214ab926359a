"""One driver a results folder: a file lock that ends with its process, and a note that says who holds it."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from cifar_tune.errors import ResultsError, StorageError
from cifar_tune.layout import DRIVER_NAME, LOCK_NAME
from cifar_tune.storage.folders import replica_of
from cifar_tune.storage.replica import LEASE_SECONDS


@dataclass(frozen=True)
class Driver:
    """The process that writes, or last wrote, a results folder."""

    pid: int
    node: str
    process_started: float
    since: str

    @property
    def here(self) -> bool:
        """True if it runs, or ran, on this machine."""
        return self.node == platform.node()

    @property
    def alive(self) -> bool:
        """True if the process is there; a driver on another machine is believed to be."""
        if not self.here:
            return True
        try:
            return bool(psutil.Process(self.pid).create_time() == self.process_started)
        except psutil.NoSuchProcess:
            return False


class DriverLock:
    """Held from `acquire` to `release` or the end of the process, however it ends.

    Where the folder stands for an address, a note there keeps out drivers on other machines, until it is too old.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_NAME, thread_local=False)
        self._replica = replica_of(folder)

    def acquire(self) -> None:
        """Takes the lock at once.

        Raises:
            ResultsError: another process has it; names it.
            StorageError: the folder stands for an address that cannot be read and written.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            driver = read_driver(self._folder)
            who = f"process {driver.pid} on {driver.node} since {driver.since}" if driver else "another process"
            raise ResultsError(
                f"{self._folder}: a sweep is writing here ({who}); wait for it, end it, or choose another folder"
            ) from error
        process = psutil.Process()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        driver = Driver(os.getpid(), platform.node(), process.create_time(), since)
        try:
            self._lease(driver)
        except OSError:
            self._lock.release()
            raise
        (self._folder / DRIVER_NAME).write_text(json.dumps(asdict(driver)))

    def release(self) -> None:
        """Gives the lock back."""
        (self._folder / DRIVER_NAME).unlink(missing_ok=True)
        if self._replica is not None:
            with suppress(StorageError):  # the note grows too old by itself
                self._replica.end_lease(self._note_name)
        self._lock.release()

    def _lease(self, driver: Driver) -> None:
        """Raises ResultsError where another driver is at work at the address that the folder stands for."""
        if self._replica is None:
            return
        other = _driver(self._replica.lessee(self._note_name))
        if other is not None and other.alive:
            raise ResultsError(
                f"{self._replica.address}: a sweep is writing there (process {other.pid} on {other.node} since "
                f"{other.since}); wait for it or end it. If its machine is gone, this works {LEASE_SECONDS:.0f} s later"
            )
        self._replica.lease(self._note_name, json.dumps(asdict(driver)).encode())

    @property
    def _note_name(self) -> str:
        assert self._replica is not None
        return (self._folder.resolve().relative_to(self._replica.folder) / DRIVER_NAME).as_posix()


def read_driver(folder: Path) -> Driver | None:
    """The process that writes the folder, or that died doing so; None after an orderly end."""
    try:
        return _driver((folder / DRIVER_NAME).read_bytes())
    except OSError:
        return None


def _driver(note: bytes | None) -> Driver | None:
    try:
        return None if note is None else Driver(**json.loads(note))
    except (ValueError, TypeError):
        return None
