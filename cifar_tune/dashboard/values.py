"""Frames as plain values that JSON has, and how the page is to write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from cifar_tune.analysis.naming import UNITS, title
from cifar_tune.analysis.reports.text_table import HEADS, text_table
from cifar_tune.plotting.section import Table
from cifar_tune.results.columns import CONFIGURATION_PREFIX

Form = Literal["fraction", "bytes", "seconds", "time", "number", "text"]


def plain(value: Any) -> Any:
    """A number, string, truth value or None; None also for what is missing or not finite."""
    if isinstance(value, pd.Timestamp):
        return None if pd.isna(value) else value.isoformat(timespec="seconds")
    value = value.item() if hasattr(value, "item") else value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_column(values: pd.Series[Any]) -> list[Any]:
    """The values of a column, each as `plain` has it."""
    return [plain(value) for value in values.tolist()]


def form(column: str, values: pd.Series[Any]) -> Form:
    """How values of a column are written."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return "time"
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "text"
    unit = UNITS.get(column, "")
    if unit in ("fraction", "bytes", "seconds"):
        return unit  # type: ignore[return-value]
    return "number"


def columnar(frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A frame column by column: name, title, form and values of each."""
    return {
        "rows": len(frame),
        "columns": [
            {
                "name": name,
                "title": (titles or {}).get(name) or column_title(name),
                "form": form(name, frame[name]),
                "values": plain_column(frame[name]),
            }
            for name in frame.columns
        ],
    }


def column_title(name: str) -> str:
    """A column's head: without unit, which stands beside each value."""
    if name.startswith(CONFIGURATION_PREFIX):
        return name.removeprefix(CONFIGURATION_PREFIX)
    return HEADS.get(name) or title(name).split(" (")[0]


def words(frame: pd.DataFrame) -> dict[str, Any]:
    """A small frame of our analysis in words, as a report prints it."""
    return of_table(text_table(frame))


def of_table(table: Table) -> dict[str, Any]:
    """A table of words."""
    return {"heads": table.heads, "rows": table.rows, "left": table.left}
