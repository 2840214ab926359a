"""One driver a results folder: a file lock that ends with its process, and a note that says who holds it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from cifar_tune.errors import ResultsError

LOCK_NAME = ".lock"
DRIVER_NAME = ".driver.json"


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
    """Held from `acquire` to `release` or the end of the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_NAME, thread_local=False)

    def acquire(self) -> None:
        """Takes the lock at once.

        Raises:
            ResultsError: another process has it; names it.
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
        (self._folder / DRIVER_NAME).write_text(json.dumps(asdict(driver)))

    def release(self) -> None:
        """Gives the lock back."""
        (self._folder / DRIVER_NAME).unlink(missing_ok=True)
        self._lock.release()


def read_driver(folder: Path) -> Driver | None:
    """The process that writes the folder, or that died doing so; None after an orderly end."""
    try:
        return Driver(**json.loads((folder / DRIVER_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
