"""What commands that train write to."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class LastingConsole(Console):
    """A console that outlasts its reader: what trains behind it goes on."""

    def on_broken_pipe(self) -> None:
        """Falls silent, as nobody reads any more: after `| head -1`, or when a `| tee` died."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
