"""TensorBoard: a folder of event files for each trial."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cifar_tune.errors import TrackingError
from cifar_tune.tracking.tracker import TrackedTrial, missing

FLUSH_SECONDS = 1
"""After which figures are in the file. tensorboardX's `flush` does not wait for what is still in its queue."""


class EventFile:
    """One event file. A context: it ends when the file is whole."""

    def __init__(self, folder: Path) -> None:
        """Starts a file beside those that the folder may have; TensorBoard shows them as one.

        Raises:
            TrackingError: tensorboardX is not installed, or the folder cannot be written to.
        """
        writer = _summary_writer()
        try:
            self._writer = writer(str(folder), flush_secs=FLUSH_SECONDS, filename_suffix=f".{time.time_ns()}")
        except OSError as error:
            raise TrackingError(f"{folder}: cannot be written to: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, epoch: int, values: Mapping[str, float | None], at: datetime | None = None) -> None:
        """Adds figures at an epoch, those that are missing and `epoch` itself left out. at: else now."""
        for name, value in values.items():
            if value is not None and name != "epoch":
                self._writer.add_scalar(name, value, epoch, at and at.timestamp())

    def write_text(self, name: str, text: str) -> None:
        """Adds Markdown."""
        self._writer.add_text(name, text)

    def close(self) -> None:
        """Makes the file whole."""
        self._writer.close()


def _summary_writer() -> Any:
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
    except ImportError:
        raise missing("tensorboardX", "pip install tensorboardX") from None
    return SummaryWriter


class TensorBoard:
    """`tensorboard --logdir FOLDER` shows what this writes."""

    def __init__(self, folder: Path) -> None:
        """Raises TrackingError where tensorboardX is not installed."""
        _summary_writer()
        self._folder = folder
        self.place = str(folder.resolve())
        self.shown_by = f"tensorboard --logdir {folder}"

    def open_run(self, trial: TrackedTrial, name: str | None) -> TensorBoardRun:
        return TensorBoardRun(self._folder, name or trial.trial_id)


class TensorBoardRun:
    """Scalars by epoch; configuration and outcome as a table among the texts."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._file = EventFile(folder / name)

    def write_epoch(self, epoch: int, values: Mapping[str, float], at: datetime) -> None:
        self._file.write(epoch, values, at)

    def write_outcome(self, trial: TrackedTrial) -> None:
        rows = {"status": trial.status, **trial.configuration, **trial.outcome}
        lines = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in rows.items()]
        self._file.write_text("trial", "\n".join(["| | |", "| --- | --- |", *lines]))

    def close(self) -> None:
        self._file.close()
