"""The state of a sweep while it runs: one screen that updates in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cifar_tune.results.columns import COMPLETED, RUNNING, STATUSES
from cifar_tune.search.sweep_progress import BestTrial, SearchProgress

SCREEN_SECONDS = 0.25
"""Between two updates of the screen."""

LINE_SECONDS = (2.0, 60.0)
LINE_GROWTH = 0.1
"""Between two plain lines: a tenth of the time elapsed, at least 2 and at most 60 seconds. One that would say the same
is left out, but for a line a minute: so long at most nothing is heard of a sweep."""

BAR_WIDTH = 30

WHOLE = 10_000
"""Numbers from here on are shown without decimals, and not as a power of ten."""

MOST_RUNNING = 12
"""Running trials shown; of a rack of GPUs only their number fits a screen."""


@dataclass(frozen=True)
class Running:
    """A trial that a worker has. epoch: the last finished one, 0 before the first."""

    trial_id: str
    epoch: int
    epochs: int
    accuracy: float | None


@dataclass(frozen=True)
class View:
    """All that is shown.

    metric: of the best trial. seconds: since this driver began; seconds_left: None if unknown. guard: what early
    stopping costs, in a line. waiting: why no trial is running.
    """

    name: str
    progress: SearchProgress
    metric: str
    running: tuple[Running, ...]
    seconds: float
    seconds_left: float | None
    guard: str | None = None
    waiting: str | None = None

    @property
    def ended(self) -> int:
        """Trials that have ended."""
        return sum(count for status, count in self.progress.counts.items() if status != RUNNING)


class Screen:
    """Shows views, as often as is sensible. A context: inside it the terminal is taken."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._began = time.monotonic()
        self._due = self._began
        self._last_line = ""
        self._told_at = self._began

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def due(self) -> bool:
        """Whether it is time for another view; to make one costs more than to ask."""
        return time.monotonic() >= self._due

    def announce(self, line: str) -> None:
        """Writes a line that stays, above the view on a terminal."""
        seconds = time.monotonic() - self._began
        self._console.print(Text(f"[{duration(seconds)}] {line}"), soft_wrap=True)

    def show(self, view: View) -> None:
        """Shows the view now."""
        now = time.monotonic()
        if self._live is not None:
            self._live.update(screen_of(view), refresh=True)
            self._due = now + SCREEN_SECONDS
            return
        shortest, longest = LINE_SECONDS
        line = line_of(view)
        if line != self._last_line or now - self._told_at >= longest:
            self._console.print(Text(f"[{duration(view.seconds)}] {line}"), soft_wrap=True)
            self._last_line, self._told_at = line, now
        pause = max(shortest, LINE_GROWTH * (now - self._began))
        self._due = min(now + pause, self._told_at + longest)


def screen_of(view: View) -> RenderableType:
    """Returns the view for a terminal."""
    head = Text.assemble(
        (view.name, "bold"), f"  {view.ended} of {view.progress.planned} trials, {view.progress.epochs:,} epochs"
    )
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        ProgressBar(total=max(1, view.progress.planned), completed=view.ended, width=BAR_WIDTH), Text(_counts(view))
    )
    parts: list[RenderableType] = [head, bar]
    if view.progress.best is not None:
        parts.append(Text.assemble(("best     ", "bold"), _best(view.progress.best, view.metric)))
    if view.progress.front is not None:
        parts.append(Text.assemble(("front    ", "bold"), _front(view)))
    if view.guard is not None:
        parts.append(Text(view.guard))
    if view.waiting is not None:
        parts.append(Text(view.waiting, style="yellow"))
    if view.running:
        parts.append(_running_table(view.running))
    parts.append(Text(f"{duration(view.seconds)} elapsed{_left(view)}   Ctrl-C stops and saves", style="dim"))
    return Group(*parts)


def line_of(view: View) -> str:
    """Returns the view in one line, without the time elapsed."""
    parts = [f"{view.ended}/{view.progress.planned} trials, {view.progress.epochs:,} epochs", _counts(view)]
    if view.progress.best is not None:
        parts.append(f"best {_best(view.progress.best, view.metric)}")
    if view.progress.front is not None:
        parts.append(f"front {_front(view)}")
    if view.guard is not None:
        parts.append(view.guard)
    if view.waiting is not None:
        parts.append(view.waiting)
    return "; ".join(parts) + _left(view)


def duration(seconds: float) -> str:
    """Returns a time as `0:42`, `12:05` or `3:12:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _counts(view: View) -> str:
    counts = view.progress.counts
    ended = [f"{counts[status]} {status}" for status in STATUSES if status != RUNNING and counts.get(status)]
    return ", ".join([f"{len(view.running)} running", *ended])


def _best(best: BestTrial, metric: str) -> str:
    return _with_values(f"{metric} {best.value:.4f} in epoch {best.epoch} of {best.trial_id}", best.values)


def _front(view: View) -> str:
    front = view.progress.front
    assert front is not None
    completed = view.progress.counts.get(COMPLETED, 0)
    extremes = [
        _with_values(f"{one.metric} {_short(one.value)} in {one.trial_id}", one.varied) for one in front.extremes
    ]
    return ", ".join([f"{front.size} of {completed} completed", *extremes])


def _with_values(what: str, values: Mapping[str, object]) -> str:
    varied = ", ".join(f"{path}={_short(value)}" for path, value in values.items())
    return f"{what} ({varied})" if varied else what


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.4g}"
    return str(value)


def _left(view: View) -> str:
    return "" if view.seconds_left is None else f", about {duration(view.seconds_left)} left"


def _running_table(running: tuple[Running, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("running", "epoch", "accuracy"):
        table.add_column(heading, justify="left" if heading == "running" else "right")
    for trial in running[:MOST_RUNNING]:
        accuracy = "" if trial.accuracy is None else f"{trial.accuracy:.4f}"
        table.add_row(Text(trial.trial_id), f"{trial.epoch}/{trial.epochs}", accuracy)
    if len(running) > MOST_RUNNING:
        table.add_row(f"and {len(running) - MOST_RUNNING} more", "", "")
    return table
