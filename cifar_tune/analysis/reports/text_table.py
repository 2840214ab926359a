"""Frames as tables of words, for the terminal, a page or a README."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

import pandas as pd
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from cifar_tune.analysis.naming import UNITS, label, short_number, title, written
from cifar_tune.figures.section import Table
from cifar_tune.figures.theme import shortened
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
LONGEST_CELL, LONGEST_HEAD = 40, 9
"""Characters of a cell, and of a name on one line, in a terminal."""
MOST_PARAMETERS = 6
"""Beside the outcome; more do not fit a terminal."""


def text_table(frame: pd.DataFrame, *, most_parameters: int | None = None, verbatim: Collection[str] = ()) -> Table:
    """A frame of this package in words; rows of rank 1 are marked.

    most_parameters: columns of `trial.` that are shown; all of them by default. verbatim: columns that are names.
    """
    parameters = [column for column in frame.columns if column.startswith(CONFIGURATION_PREFIX)]
    left_out = parameters[len(parameters) if most_parameters is None else most_parameters :]
    shown = frame.drop(columns=left_out)
    short = _short_names([column for column in parameters if column not in left_out])
    rows = shown.itertuples(index=False, name=None)
    return Table(
        heads=tuple(
            column if column in verbatim else short.get(column, HEADS.get(column, title(column)))
            for column in shown.columns
        ),
        rows=tuple(
            tuple(_cell(column, value) for column, value in zip(shown.columns, row, strict=True)) for row in rows
        ),
        left=tuple(column in WORDS for column in shown.columns),
        marked=tuple(shown["rank"] == 1) if "rank" in shown.columns else (False,) * len(shown),
    )


def rich_table(frame: pd.DataFrame, verbatim: Collection[str] = ()) -> RichTable:
    """A frame of this package for the terminal; where that is narrow, parameters take several lines."""
    words = text_table(frame, most_parameters=MOST_PARAMETERS, verbatim=verbatim)
    parameters = [column for column in frame.columns if column.startswith(CONFIGURATION_PREFIX)]
    shown = frame.drop(columns=parameters[MOST_PARAMETERS:])
    outcome = [column not in parameters for column in shown.columns]
    table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for head, left, unbroken in zip(words.heads, words.left, outcome, strict=True):
        justify: Literal["left", "right"] = "left" if left else "right"
        table.add_column(Text(_broken(head)), justify=justify, no_wrap=unbroken, overflow="fold")
    for row, marked in zip(words.rows, words.marked, strict=True):
        table.add_row(*(Text(shortened(cell, LONGEST_CELL)) for cell in row), style="bold" if marked else "")
    return table


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


def _broken(name: str) -> str:
    """A long name on several lines."""
    return name if len(name) <= LONGEST_HEAD else re.sub(r"(?<=[._])(?=\w{3})", "\n", name)


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
