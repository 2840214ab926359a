"""One trial while it trains: a bar that moves on a terminal, a line an epoch everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from cifar_tune.training.epochs import OpenTrial
from cifar_tune.training.initial_weights import match_weights
from cifar_tune.training.metrics import EpochMetrics, images_text
from cifar_tune.training.reproducibility import why_bits_differ
from cifar_tune.training.state import TrainingState

NARROW, NARROWEST = 80, 52
"""Columns below which loss and accuracy leave no room for the bar, and the bar none for epoch, speed and time left."""


def shown(opened: OpenTrial, console: Console) -> Iterator[EpochMetrics]:
    """Yields the records of the epochs still to do, each after its line is on the console."""
    live = Live(StepBar(opened), console=console, transient=True)
    if console.is_terminal:
        live.start()
    try:
        for metrics in opened.epochs():
            console.print(line(metrics, opened.trial.epochs), highlight=False)
            yield metrics
    finally:
        live.stop()


def line(metrics: EpochMetrics, epochs: int) -> str:
    """Returns what one epoch gave, in one line."""
    parts = [f"epoch {metrics.epoch:>{len(str(epochs))}}/{epochs}"]
    parts.append(f"train loss {metrics.train_loss:.4f} accuracy {metrics.train_accuracy:.4f}")
    if metrics.validation_loss is not None and metrics.validation_accuracy is not None:
        parts.append(f"validation loss {metrics.validation_loss:.4f} accuracy {metrics.validation_accuracy:.4f}")
    parts.append(f"lr {metrics.lr:.2e}")
    parts.append(images_text(metrics.images_per_second))
    return "  ".join(parts)


def beginning(opened: OpenTrial) -> str:
    """Returns what is about to be trained, and from where."""
    trial, data, state = opened.trial, opened.data, opened.state
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    lines = [
        f"{trial.model.name}, {parameters:,} parameters, on {trial.dataset.name}: "
        f"trains on {len(data.train):,} images, validates on {len(data.validation):,}; "
        f"{state.arithmetic.name} on {state.device}{_threads(state)}"
    ]
    if state.epoch:
        lines.append(f"goes on after epoch {state.epoch}")
        *before, now = state.environments
        if (why := why_bits_differ(before, now, deterministic=trial.deterministic)) is not None:
            lines.append(f"not bit for bit as without the interruption: {why}")
    elif trial.initial_weights is not None:
        lines.append(str(match_weights(trial.initial_weights, trial.model, data.info)))
    return "\n".join(lines)


def _threads(state: TrainingState) -> str:
    """Returns the number of threads where results depend on it."""
    if state.device.type != "cpu":
        return ""
    threads = state.environments[-1].threads
    return f" with {threads} thread{'' if threads == 1 else 's'}"


def ending(opened: OpenTrial) -> str:
    """Returns the best epoch of the trial, and where it lies."""
    state = opened.state
    scored = [(metrics.validation_accuracy, -metrics.epoch) for metrics in state.history]
    if scored[-1][0] is None:
        where = "" if opened.folder is None else f": {opened.folder.last}"
        return f"train accuracy {state.history[-1].train_accuracy:.4f}; no image was held out to validate on{where}"
    accuracy, epoch = max((accuracy, epoch) for accuracy, epoch in scored if accuracy is not None)
    early = f"stopped early after epoch {state.epoch}; " if state.epoch < opened.trial.epochs else ""
    where = "" if opened.folder is None else f": {opened.folder.best}"
    return f"{early}best validation accuracy {accuracy:.4f} in epoch {-epoch}{where}"


def saved(opened: OpenTrial) -> str:
    """Returns how much of the trial is on disk."""
    checkpoint = None if opened.folder is None else opened.folder.newest()
    if checkpoint is None:
        return "no epoch was done"
    return (
        f"epochs up to {checkpoint.training['epoch']} of {opened.trial.epochs} are saved in {checkpoint.folder.parent}"
    )


class StepBar:
    """A bar over all optimizer steps of the trial, read off its state whenever the bar is drawn."""

    def __init__(self, opened: OpenTrial) -> None:
        self._state, self._epochs, self._batch_size = opened.state, opened.trial.epochs, opened.trial.batch_size
        self._steps = len(opened.data.train) // self._batch_size * self._epochs
        self._began, self._first_step = time.monotonic(), opened.state.step

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        state = self._state
        epoch = f"{min(state.epoch + 1, self._epochs)}/{self._epochs}"
        row = Table.grid(padding=(0, 2), expand=True)
        cells: list[RenderableType] = [f"epoch {epoch}", ProgressBar(self._steps, state.step), self._speed()]
        if options.max_width < NARROWEST:
            cells = [epoch, self._speed()]
        elif options.max_width >= NARROW:
            cells.insert(2, self._score())
        for cell in cells:
            row.add_column(no_wrap=True, ratio=1 if isinstance(cell, ProgressBar) else None)
        row.add_row(*cells)
        yield row

    def _score(self) -> str:
        if not self._state.history:
            return ""
        metrics = self._state.history[-1]
        return f"loss {metrics.train_loss:.3f} accuracy {metrics.train_accuracy:.3f}"

    def _speed(self) -> str:
        """Returns images a second since the bar began, validation included, and the time left at that rate."""
        done, seconds = self._state.step - self._first_step, time.monotonic() - self._began
        if done == 0:
            return ""
        left = timedelta(seconds=round((self._steps - self._state.step) * seconds / done))
        return f"{images_text(done * self._batch_size / seconds)}  {left} left"
