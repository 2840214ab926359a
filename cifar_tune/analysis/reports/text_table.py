"""Frames as tables of words, for the terminal, a page or a README."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pandas as pd

from cifar_tune.analysis.naming import UNITS, label, short_number, title, written
from cifar_tune.plotting.section import Table
from cifar_tune.plotting.terminal_table import TerminalTable
from cifar_tune.plotting.theme import shortened
from cifar_tune.results.columns import CONFIGURATION_PREFIX

HEADS = {
    "rank": "",
    "trial_id": "trial",
    "validation_accuracy": "accuracy",
    "best_validation_accuracy": "best accuracy",
    "epochs_trained": "epochs",
    "train_seconds": "seconds",
    "gpu_seconds": "GPU seconds",
    "num_parameters": "parameters",
    "flops_per_image": "FLOPs an image",
    "latency_seconds": "latency (s)",
    "device_name": "device",
    "rung": "rung",
    "went_on": "went on",
    "rank_correlation": "rank correlation",
    "interval": "95 % interval",
    "interval_90": "90 % interval",
    "good_stopped": "good stopped",
    "duplicate_train_seconds": "their seconds",
    "duplicate_gpu_seconds": "their GPU seconds",
}
WORDS = (
    "sweep", "stem", "trial_id", "checkpoint", "status", "device_name", "message", "reason", "parameter", "value",
    "change", "quantity",
)  # fmt: skip
"""Columns set to the left."""
COUNTS = (
    "epochs",
    "epochs_trained",
    "trials",
    "rank",
    "rung",
    "arrived",
    "stopped",
    "went_on",
    "audited",
    "duplicates",
)
MISSING = "–"
LONGEST_CELL = 40
"""Characters of a cell in a terminal."""


def text_table(frame: pd.DataFrame, *, verbatim: Collection[str] = ()) -> Table:
    """A frame of this package in words; rows of rank 1 are marked.

    verbatim: columns that are names.
    """
    short = _short_names([column for column in frame.columns if column.startswith(CONFIGURATION_PREFIX)])
    rows = frame.itertuples(index=False, name=None)
    return Table(
        heads=tuple(
            column if column in verbatim else short.get(column, HEADS.get(column, title(column)))
            for column in frame.columns
        ),
        rows=tuple(
            tuple(_cell(column, value) for column, value in zip(frame.columns, row, strict=True)) for row in rows
        ),
        left=tuple(column in WORDS for column in frame.columns),
        marked=tuple(frame["rank"] == 1) if "rank" in frame.columns else (False,) * len(frame),
    )


def terminal_table(frame: pd.DataFrame, verbatim: Collection[str] = ()) -> TerminalTable:
    """A frame of this package for the terminal, the middle of long cells left out."""
    words = text_table(frame, verbatim=verbatim)
    return TerminalTable(
        replace(words, rows=tuple(tuple(shortened(cell, LONGEST_CELL) for cell in row) for row in words.rows))
    )


def counts_text(counts: dict[str, int]) -> str:
    """`20 trials: 4 completed, 15 stopped, 1 failed`."""
    total = sum(counts.values())
    parts = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{total} trial{'' if total == 1 else 's'}" + (f": {parts}" if parts else "")


def configuration_text(row: pd.Series[Any]) -> str:
    """The parameters of a row of `ranking`: `model=mininet, lr=0.1`."""
    short = _short_names([column for column in row.index if column.startswith(CONFIGURATION_PREFIX)])
    return ", ".join(f"{name}={_cell(column, row[column])}" for column, name in short.items())


def _short_names(columns: list[str]) -> dict[str, str]:
    """The last part of each parameter's path, or the whole where two would be called the same or by `name` alone."""
    short = {column: label(column).rsplit(".", 1)[-1] for column in columns}
    names = list(short.values())
    return {
        column: label(column).removesuffix(".name") if names.count(name) > 1 or name == "name" else name
        for column, name in short.items()
    }


def _cell(column: str, value: Any) -> str:
    if pd.isna(value):
        return MISSING
    if isinstance(value, str):
        return value
    if column.endswith("seconds"):
        return short_number(float(value)) if value < 0.1 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    if column in COUNTS:
        return str(int(value))
    if column == "share":
        return f"{100 * value:.0f} %"
    if UNITS.get(column) == "fraction":
        return f"{100 * value:.2f} %"
    return written(column, float(value)) if column in UNITS else short_number(value)
