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
    """How long the writers of one sweep wait for space. With 0 seconds they do not wait."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._waiting_since: float | None = None

    def wait(self, path: Path, error: OSError) -> None:
        """Waits a little after a write that failed, so that it can be tried again.

        Raises:
            ResultsError: the disk is not full, but refuses the write; or nobody waits.
            SurroundingsError: the disk has been full for longer than `seconds`. Until a write succeeds, nobody waits.
        """
        problem = f"{path}: could not be written: {error.strerror or error}"
        if error.errno not in FULL or not self.seconds:
            raise ResultsError(problem) from error
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
            warnings.warn(f"{problem}; trying again for {self.seconds / 60:g} minutes", stacklevel=2)
        if now - self._waiting_since >= self.seconds:
            raise SurroundingsError(
                f"{problem}\nresources.retry_minutes: {self.seconds / 60:g} is how long this was tried. "
                "Every finished epoch is saved"
            ) from error
        time.sleep(CHECK_SECONDS)

    def end_wait(self) -> None:
        """Forgets the wait, because a write succeeded."""
        self._waiting_since = None


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
            written = os.write(file, line)
        except OSError as error:
            patience.wait(path, error)
            continue
        if written == len(line):
            break
        # The kernel wrote what still fitted, and says nothing. It would do so again and again.
        os.ftruncate(file, size)
        patience.wait(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    patience.end_wait()
