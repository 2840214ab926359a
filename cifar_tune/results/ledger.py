"""The append-only file that both tables are derived from: one line of JSON an event, whole or not there at all."""

from __future__ import annotations

import json
import mmap
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cifar_tune.errors import ResultsError
from cifar_tune.results.full_disk import DiskPatience, append_whole
from cifar_tune.results.values import json_default
from cifar_tune.storage.atomic_write import sync_folder

LEDGER_VERSION = 1

SYNC_SECONDS = 1.0
"""What a power failure may cost. A killed process loses nothing: each event is handed to the kernel at once."""


class Ledger:
    """An open ledger. Events are appended; nothing is ever changed."""

    def __init__(self, path: Path) -> None:
        """Opens a ledger that `create_ledger` made, at its end. A torn last line must have been cut (`repair`)."""
        self._path = path
        self.patience = DiskPatience()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = os.fstat(self._file).st_size
        self._synced_size = self._size
        self._synced_at = time.monotonic()

    def append(self, event: Mapping[str, object]) -> None:
        """Writes one event; when this returns, a kill of the process cannot lose it.

        Raises:
            ResultsError: the event has no JSON form, or cannot be written. The ledger is as it was before.
            SurroundingsError: the disk has been full for longer than `patience` allows.
        """
        line = _encode(event)
        append_whole(self._file, line, self._path, self.patience)
        self._size += len(line)
        self.sync_if_due()

    def sync_if_due(self) -> None:
        """Makes the events safe against a power failure, at most once in `SYNC_SECONDS`."""
        if self._size > self._synced_size and time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Makes every event so far safe against a power failure."""
        os.fsync(self._file)
        self._synced_size = self._size
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Syncs and closes the file."""
        self.sync()
        os.close(self._file)


def create_ledger(path: Path, sweep_name: str) -> None:
    """Makes a ledger that holds its first event, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(_encode({"event": "created", "ledger_version": LEDGER_VERSION, "sweep": sweep_name}))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def repair(path: Path) -> None:
    """Cuts off what a kill or a power failure tore at the end."""
    whole = _whole_length(path)
    if 0 < whole < path.stat().st_size:
        os.truncate(path, whole)


def events(path: Path, *, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Yields every whole event in order, or those of one kind; a torn end is passed over.

    Raises:
        ResultsError: there is no ledger, it is of a newer version, or a line before the end is damaged.
    """
    try:
        whole = _whole_length(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from error
    if whole == 0:
        raise ResultsError(f"{path}: holds not one whole event; start the sweep again with --fresh")
    prefix = b"" if kind is None else _encode({"event": kind})[:-2]
    for number, line in enumerate(_lines(path, whole), start=1):
        if number == 1 or line.startswith(prefix):
            event = decode(line, f"{path}:{number}")
            if number == 1:
                check_version(path, event)
            if kind in (None, event["event"]):
                yield event


def _whole_length(path: Path) -> int:
    """Bytes up to the end of the last line that is whole."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n") + 1
        while end > 0:
            start = data.rfind(b"\n", 0, end - 1) + 1
            try:
                json.loads(data[start:end])
            except ValueError:
                end = start
            else:
                break
        return end


def _lines(path: Path, length: int) -> Iterator[bytes]:
    """Yields the lines of the first `length` bytes."""
    with path.open("rb") as file:
        for line in file:
            yield line
            length -= len(line)
            if length <= 0:
                return


def decode(line: bytes, where: str) -> dict[str, Any]:
    """The event of a line.

    Raises:
        ResultsError: it is no JSON.
    """
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise ResultsError(f"{where}: this line is damaged, though lines after it are whole: {error}") from error
    return event


def check_version(path: Path, first: Mapping[str, object]) -> None:
    """Returns if the first event begins a ledger that this version reads.

    Raises:
        ResultsError: it does not.
    """
    version = first.get("ledger_version")
    if not isinstance(version, int) or first.get("event") != "created":
        raise ResultsError(f"{path}: is not a ledger of cifar_tune")
    if version > LEDGER_VERSION:
        raise ResultsError(
            f"{path}: is of version {version}, made by a newer cifar_tune; this one reads up to {LEDGER_VERSION}"
        )


def _encode(event: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(event, separators=(",", ":"), default=json_default).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise ResultsError(f"this cannot be recorded, it has no JSON form: {error}") from error
