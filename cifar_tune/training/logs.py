"""A trial's records in files: CSV for spreadsheets, event files for TensorBoard."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from cifar_tune.errors import ConfigError, Problem
from cifar_tune.training.metrics import EpochMetrics


def write_csv(path: Path, history: Sequence[EpochMetrics]) -> None:
    """Replaces the file by a table of all records, one row an epoch; it is whole at every instant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochMetrics)])
        writer.writeheader()
        writer.writerows(asdict(metrics) for metrics in history)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class TensorBoardLog:
    """Writes every figure of a record as a scalar at its epoch. A context: it ends when the file is whole."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
        except ImportError:
            message = "needs the package tensorboardX, which is not installed; leave it out, or install that"
            raise ConfigError([Problem("--tensorboard", None, None, "", message)]) from None
        self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, metrics: EpochMetrics) -> None:
        """Adds one record."""
        for name, value in asdict(metrics).items():
            if name != "epoch" and value is not None:
                self._writer.add_scalar(name, value, metrics.epoch)
        self._writer.flush()
