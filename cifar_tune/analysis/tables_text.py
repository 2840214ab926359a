"""Rankings and counts in the terminal."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from cifar_tune.analysis.naming import UNITS, label, short_number, written
from cifar_tune.analysis.theme import shortened

HEADS = {
    "rank": "",
    "trial_id": "trial",
    "validation_accuracy": "accuracy",
    "best_validation_accuracy": "best accuracy",
    "epochs_trained": "epochs",
    "train_seconds": "seconds",
}
MOST_PARAMETERS = 6
"""Beside the outcome; more do not fit a terminal."""


LONGEST_HEAD = 9
"""Characters of a parameter's name on one line."""


def table_text(frame: pd.DataFrame) -> Table:
    """A frame of `ranking` or `furthest` as a table."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    outcome = [column for column in frame.columns if not column.startswith("trial.")]
    parameters = [column for column in frame.columns if column.startswith("trial.")][:MOST_PARAMETERS]
    heads = _short_names(parameters)
    for column in outcome:
        justify: Any = "left" if column in ("trial_id", "status", "sweep") else "right"
        table.add_column(HEADS.get(column, column), justify=justify, no_wrap=True)
    for column in parameters:
        table.add_column(_broken(heads[column]), justify="right", no_wrap=True)
    for row in frame[outcome + parameters].itertuples(index=False, name=None):
        cells = [_cell(column, value) for column, value in zip([*outcome, *parameters], row, strict=True)]
        table.add_row(*cells, style="bold" if row[0] == 1 and outcome[0] == "rank" else "")
    return table


def counts_text(counts: dict[str, int]) -> str:
    """`20 trials: 4 completed, 15 stopped, 1 failed`."""
    total = sum(counts.values())
    parts = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{total} trial{'' if total == 1 else 's'}" + (f": {parts}" if parts else "")


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


def _cell(column: str, value: Any) -> Text:
    if pd.isna(value):
        return Text("–", style="dim")
    if column == "train_seconds":
        return Text(f"{value:,.1f}" if value < 100 else f"{value:,.0f}")
    if column in UNITS and not isinstance(value, str) and column != "epochs_trained":
        return Text(f"{100 * value:.2f} %" if UNITS[column] == "fraction" else written(column, value))
    return Text(shortened(short_number(value), 40))
