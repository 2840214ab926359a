"""A heat map in the terminal."""

from __future__ import annotations

from itertools import accumulate

import pandas as pd
from rich import box
from rich.color import Color
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cifar_tune.analysis.heatmaps.axis import Axis
from cifar_tune.analysis.heatmaps.heatmap import Cell, Heatmap
from cifar_tune.analysis.naming import more_is_better, short_number, written
from cifar_tune.plotting.terminal_table import left_out_note
from cifar_tune.plotting.theme import shortened

SHADES = ("#3b528b", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725")
"""Viridis without its darkest quarter, which cannot be told from a dark terminal."""
DARK_SHADES = 2
"""So many take white text, the others black."""
LABEL_WIDTH = 14
STOPPED, EMPTY = "//", "·"


def heatmap_text(heatmap: Heatmap, width: int = 80) -> RenderableType:
    """The heat map as a table; cells show the value and, in brackets, how many trials it comes from.

    The last columns are left out and named where not all fit.

    width: of the terminal, in characters.
    """
    labels = [shortened(label, LABEL_WIDTH) for label in heatmap.y.labels]
    heads = _heads(heatmap.x)
    one_line = _rows(heatmap, " ")
    fits = sum(_widths(labels, heads, one_line)) <= width
    cells = one_line if fits else _rows(heatmap, "\n")
    needed = list(accumulate(_widths(labels, heads, cells)))
    shown = max(1, sum(reach <= width for reach in needed) - 1)
    table = Table(box=box.SIMPLE_HEAD, padding=0, header_style="bold", show_edge=False)
    table.add_column("", no_wrap=True)
    for head in heads[:shown]:
        table.add_column(Text(head), justify="center", no_wrap=True)
    rows = range(len(labels))
    for row in reversed(rows) if heatmap.y.numeric else rows:
        table.add_row(Text(labels[row]), *cells[row][:shown], end_section=not fits)
    when = f" at epoch {heatmap.epoch}" if heatmap.epoch else " of completed trials"
    heading = Text(heatmap.title + when, style="bold")
    parts: list[RenderableType] = [
        heading,
        Text(f"{heatmap.x.name} across{_down(heatmap.y)}", style="dim"),
        table,
        _legend(heatmap),
    ]
    if left_out := heatmap.x.labels[shown:]:
        parts.append(left_out_note([f"{heatmap.x.name} {label}" for label in left_out], needed[-1]))
    return Group(*parts)


def _down(y: Axis) -> str:
    return f", {y.name} down" if y.parameter else ""


def _heads(x: Axis) -> list[str]:
    """Short heads: of a bin its lower edge alone."""
    return [
        f"≥{short_number(value.left)}" if isinstance(value, pd.Interval) else shortened(label, 12)
        for value, label in zip(x.values, x.labels, strict=True)
    ]


def _rows(heatmap: Heatmap, between: str) -> dict[int, list[Text]]:
    """The cells of each row. between: what stands between value and count."""
    rows: dict[int, list[Text]] = {}
    for cell in heatmap.cells():
        rows.setdefault(cell.row, []).append(_cell(heatmap, cell, between))
    return rows


def _widths(labels: list[str], heads: list[str], rows: dict[int, list[Text]]) -> list[int]:
    """The characters that the labels and each column need, with the space after them."""
    columns = zip(map(Text, heads), *rows.values(), strict=True) if rows else []
    lines = ([line for text in column for line in text.plain.splitlines()] for column in columns)
    return [1 + max(map(len, column), default=0) for column in (labels, *lines)]


def _cell(heatmap: Heatmap, cell: Cell, between: str) -> Text:
    if cell.value is None:
        return Text(f"{STOPPED}{between}({cell.trials})" if cell.trials else EMPTY, style="dim")
    return Text(f" {written(heatmap.metric, cell.value)}{between}({cell.n}) ", style=_shade(heatmap, cell.value))


def _shade(heatmap: Heatmap, value: float) -> Style:
    values = heatmap.value.to_numpy(float)
    low, high = float(pd.Series(values.ravel()).min()), float(pd.Series(values.ravel()).max())
    share = (value - low) / (high - low) if high > low else 1.0
    place = round((share if more_is_better(heatmap.metric) else 1 - share) * (len(SHADES) - 1))
    ink = "#ffffff" if place < DARK_SHADES else "#000000"
    return Style(color=Color.parse(ink), bgcolor=Color.parse(SHADES[place]))


def _legend(heatmap: Heatmap) -> Text:
    said = ["in brackets: trials that count"]
    if heatmap.stopped.to_numpy().any():
        why = f"none of the cell's trials got to epoch {heatmap.epoch}" if heatmap.epoch else "none completed"
        said.append(f"{STOPPED}: {why}")
    if (heatmap.trials == 0).to_numpy().any():
        said.append(f"{EMPTY}: no trial")
    if heatmap.few_images is not None:
        said.append(f"one of {heatmap.few_images} images is worth {100 / heatmap.few_images:.1f} points")
    return Text("; ".join(said), style="dim")
