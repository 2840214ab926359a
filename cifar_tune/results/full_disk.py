"""Waiting for space on a full disk: the files of a sweep grow whole lines at a time, or not at all."""

from __future__ import annotations

import errno
import os
import time
import warnings
from pathlib import Path

from cifar_tune.errors import ResultsError, SurroundingsError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that the user mends by freeing space: a full disk, a full quota, a limit on the size of files."""

CHECK_SECONDS = 1.0
"""Between two tries. A try costs one failed write."""


class DiskPatience:
    """How long the writers of one sweep wait for space. Without patience they raise at once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._waiting_since: float | None = None
        self._is_over = False

    def wait(self, path: Path, error: OSError) -> None:
        """Waits a little after a write that failed, so that it can be tried again.

        Raises:
            ResultsError: the write failed for another reason, or there is no patience.
            SurroundingsError: the disk has been full for longer than that. From then on nothing waits any more.
        """
        problem = f"{path}: could not be written: {error.strerror or error}"
        if error.errno not in FULL or not (self.seconds or self._is_over):
            raise ResultsError(problem) from error
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
            warnings.warn(f"{problem}; trying again for {self.seconds / 60:g} minutes", stacklevel=2)
        self._is_over = self._is_over or now - self._waiting_since >= self.seconds
        if self._is_over:
            raise SurroundingsError(
                f"{problem}\nresources.retry_minutes: {self.seconds / 60:g} is how long this was tried. "
                "Every finished epoch is saved"
            ) from error
        time.sleep(CHECK_SECONDS)

    def end_wait(self) -> None:
        """Says that a write succeeded."""
        self._waiting_since = None
        self._is_over = False


def append_whole(file: int, line: bytes, path: Path, patience: DiskPatience) -> None:
    """Appends a line to an open file, in a single write that is taken back if it was cut short.

    Args:
        file: descriptor, opened with `O_APPEND`.
        line: what to append.
        path: of the file, for messages.
        patience: how long to wait while the disk is full.

    Raises:
        ResultsError, SurroundingsError: as `DiskPatience.wait`. The file is as it was before.
    """
    size = os.fstat(file).st_size
    while True:
        try:
            if os.write(file, line) == len(line):
                patience.end_wait()
                return
            os.ftruncate(file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            patience.wait(path, error)
