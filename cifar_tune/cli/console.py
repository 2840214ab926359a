"""What commands write to in the terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console


class PlainConsole(Console):
    """A console that prints text as it is.

    Rich would take `[x]` for a style and `:x:` for a picture, and names of sweeps, classes and files have both.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)


class EndingConsole(PlainConsole):
    """A console without which its command has nothing more to do."""

    def on_broken_pipe(self) -> None:
        """Raises BrokenPipeError, by which the command ends: nobody reads any more, as after `| head -1`."""
        raise BrokenPipeError


class LastingConsole(PlainConsole):
    """A console that outlasts its reader, and the disk that its log is on: what trains behind it goes on."""

    def on_broken_pipe(self) -> None:
        """Falls silent, as nobody reads any more: after `| head -1`, or when a `| tee` died."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _check_buffer(self) -> None:
        """Writes what was printed; falls silent where that cannot be, as on a full disk."""
        try:
            super()._check_buffer()
        except OSError:
            self.on_broken_pipe()
