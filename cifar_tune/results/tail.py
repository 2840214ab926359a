"""A ledger that another process writes, read as it grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cifar_tune.errors import ResultsError
from cifar_tune.results.ledger import check_version, decode


class LedgerTail:
    """What a ledger holds beyond what was read before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that was read."""
        self._offset = 0
        self._lines = 0

    def new_events(self) -> Iterator[dict[str, Any]]:
        """Yields the whole events since the last call; from the first on, `created`, if the ledger was replaced.

        What is torn at the end is left for later, when it is whole or was cut off.

        Raises:
            ResultsError: the ledger cannot be read, is of a newer version, or is damaged before its end. The next call
                begins anew.
        """
        try:
            yield from self._events()
        except OSError as error:
            self._file = None
            if isinstance(error, ResultsError):
                raise
            raise ResultsError(f"{self._path}: cannot be read: {error.strerror}") from error

    def _events(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            if self._file != (status.st_dev, status.st_ino) or status.st_size < self._offset:
                self._file, self._offset, self._lines = (status.st_dev, status.st_ino), 0, 0
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    event = decode(line, f"{self._path}:{self._lines + 1}")
                except ResultsError:
                    if file.peek(1):
                        raise
                    return
                if self._lines == 0:
                    check_version(self._path, event)
                self._offset += len(line)
                self._lines += 1
                yield event
