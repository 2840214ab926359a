"""Progress bars of what takes a while before training: downloads and decoding."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def progress(title: str, total: int, done: int = 0, size: bool = False) -> Iterator[Callable[[int], None]]:
    """Shows a bar on standard error, or logs one line where that is not a terminal; gives `advance(by)`.

    done: what earlier, interrupted work left. size: counts bytes, shown as MB.
    """
    if not sys.stderr.isatty():
        log.info("%s: %d of %d to do", title, total - done, total)
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    count = DownloadColumn() if size else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total, completed=done)
        yield lambda by: bars.advance(task, by)
