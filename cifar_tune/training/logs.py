"""A trial's records as a CSV file, for spreadsheets."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

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
