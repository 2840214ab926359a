"""A heat map as a grid of cells that the page makes buttons of."""

from __future__ import annotations

from typing import Any

from cifar_tune.analysis.heatmaps.axis import Axis
from cifar_tune.analysis.heatmaps.cell_colours import colour_map, value_range
from cifar_tune.analysis.heatmaps.heatmap import AGGREGATES, Heatmap, trials_of_cells
from cifar_tune.analysis.heatmaps.heatmap_figure import cell_note, ended_note, subtitle
from cifar_tune.analysis.naming import label, title, written
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.reports.overview import Choice, chosen_heatmap
from cifar_tune.dashboard.live import Snapshot
from cifar_tune.dashboard.views import objective
from cifar_tune.plotting.theme import contrast_color
from cifar_tune.results.columns import OUTCOME_COLUMNS


def heat_grid(snapshot: Snapshot, choice: Choice) -> dict[str, Any]:
    """The heat map that was chosen, or that suits the sweep, with what else there is to choose from.

    Raises:
        AnalysisError: the choice names what the tables do not have.
    """
    drawn = None
    metric = choice.metric or objective(snapshot)
    if len(snapshot.trials):
        asked = Choice(choice.x, choice.y, metric, choice.aggregate, choice.at_epoch)
        drawn = chosen_heatmap(snapshot.trials, snapshot.epochs, snapshot.sweep, asked)
    return {"choices": _choices(snapshot, metric), "grid": None if drawn is None else _grid(drawn, snapshot)}


def _choices(snapshot: Snapshot, metric: str) -> dict[str, Any]:
    most = snapshot.epochs["epoch"].max() if len(snapshot.epochs) else 0
    parameters = varied_parameters(snapshot.trials, snapshot.sweep) if len(snapshot.trials) else []
    return {
        "parameters": [label(parameter) for parameter in parameters],
        "metrics": [
            {"name": column.name, "title": title(column.name)}
            for column in OUTCOME_COLUMNS
            if column.kind in ("float", "int") and column.name not in ("seed", "attempts")
        ],
        "metric": metric,
        "aggregates": AGGREGATES,
        "epochs": int(most),
    }


def _grid(drawn: Heatmap, snapshot: Snapshot) -> dict[str, Any]:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize, to_hex

    colours, scale = colormaps[colour_map(drawn)], Normalize(*value_range(drawn))
    inside = trials_of_cells(drawn, snapshot.trials)
    rows, columns = drawn.value.shape
    cells: list[list[dict[str, Any]]] = [[{} for _ in range(columns)] for _ in range(rows)]
    for cell in drawn.cells():
        shown = {"value": "", "note": "", "trials": inside.get((cell.row, cell.column), [])}
        if cell.value is not None:
            colour = colours(scale(cell.value))
            shown |= {"value": written(drawn.metric, cell.value), "note": cell_note(drawn, cell)}
            shown |= {"fill": to_hex(colour), "ink": contrast_color(colour)}
        elif cell.trials:
            shown["note"] = ended_note(cell)
        cells[cell.row][cell.column] = shown
    order = reversed(range(rows)) if drawn.y.numeric else range(rows)
    return {
        "title": drawn.title,
        "subtitle": subtitle(drawn),
        "metric": drawn.metric,
        "aggregate": drawn.aggregate,
        "epoch": drawn.epoch,
        "x": _axis(drawn.x),
        "y": _axis(drawn.y),
        "rows": [{"label": drawn.y.labels[row], "cells": cells[row]} for row in order],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {"name": axis.name, "labels": axis.labels, "log": axis.log}
