"""Heat maps side by side, one for each value of a third parameter, with the same axes, epoch and colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cifar_tune.analysis.heatmaps.axis import make_axis
from cifar_tune.analysis.heatmaps.cell_colours import range_of
from cifar_tune.analysis.heatmaps.heatmap import Aggregate, Heatmap, place_trials
from cifar_tune.analysis.heatmaps.heatmap_figure import (
    CELL_HEIGHT,
    CELL_WIDTH,
    add_colour_bar,
    draw_cells,
    parts_of_subtitle,
)
from cifar_tune.analysis.naming import label, parameter
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import LIGHT, TEXT_SIZE, Theme, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 12
WIDEST_ROW = 18.0
"""Inches of heat maps side by side."""


@dataclass(frozen=True)
class HeatmapGrid:
    """over: the third parameter without `trial.`. labels: its values, or bins of them, one a heat map."""

    over: str
    labels: tuple[str, ...]
    heatmaps: tuple[Heatmap, ...]


def heatmap_grid(
    trials: pd.DataFrame,
    x: str,
    y: str,
    over: str,
    metric: str = "validation_accuracy",
    *,
    epochs: pd.DataFrame | None = None,
    aggregate: Aggregate = "best",
    at_epoch: int | None = None,
    bins: int | None = None,
) -> HeatmapGrid:
    """A heat map for each value of a third parameter; arguments as of `heatmap`.

    Raises:
        AnalysisError: as of `heatmap`; `over` is x or y, or has more values than fit.
    """
    placed = place_trials(trials, x, y, metric, epochs, aggregate, at_epoch, bins)
    column = parameter(trials, over)
    if column in (placed.x.parameter, placed.y.parameter):
        raise AnalysisError(f"`{over}` is already an axis; name a third parameter")
    third = make_axis(trials[column], bins=bins)
    if len(third.values) > MOST_PANELS:
        raise AnalysisError(
            f"`{over}` has {len(third.values)} values; at most {MOST_PANELS} heat maps fit side by side"
        )
    heatmaps = tuple(placed.aggregated(third.places == place) for place in range(len(third.values)))
    return HeatmapGrid(label(column), third.labels, heatmaps)


def heatmap_grid_figure(grid: HeatmapGrid, theme: Theme = LIGHT) -> Figure:
    """The heat maps with the value of the third parameter above each."""
    first = grid.heatmaps[0]
    rows, columns = first.value.shape
    width, height = max(2.9, 1.9 + CELL_WIDTH * columns), 1.15 + CELL_HEIGHT * rows
    across = max(1, min(4, int(WIDEST_ROW // width)))
    figure, panels = new_panels(len(grid.heatmaps), across, width, height, theme)
    limits = range_of(np.concatenate([one.value.to_numpy(float).ravel() for one in grid.heatmaps]))
    meshes = [draw_cells(axes, one, theme, limits) for axes, one in zip(panels, grid.heatmaps, strict=True)]
    for place, (axes, value) in enumerate(zip(panels, grid.labels, strict=True)):
        name = f"{shortened(grid.over, 24)}: {shortened(value, 18)}"
        axes.set_title(name, loc="left", fontsize=TEXT_SIZE, color=theme.foreground)
        if place % across:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
    add_colour_bar(figure, panels, meshes[0], first.metric, theme)
    figure_title_block(figure, first.title, " · ".join(parts_of_subtitle(grid.heatmaps)), theme)
    return figure
