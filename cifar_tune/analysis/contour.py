"""Contours of a metric over two numeric parameters, between the trials that were trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cifar_tune.analysis.comparable import Comparable, comparable
from cifar_tune.analysis.naming import label, more_is_better, parameter, title, written
from cifar_tune.analysis.scale import Scale, make_scale
from cifar_tune.analysis.slices import set_ticks
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.theme import LIGHT, SEQUENTIAL, SMALL_SIZE, Theme, new_figure, shortened, title_block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = 9
LEAST_PLACES = 4
"""Different places, not in a line, between which contours are drawn."""
NEARLY_A_LINE = 1e-3
"""Spread across a line through the places, as a share of the plot, below which they are in a line."""


def contour_figure(
    trials: pd.DataFrame,
    x: str,
    y: str,
    metric: str = "validation_accuracy",
    *,
    epochs: pd.DataFrame | None = None,
    at_epoch: int | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """The metric between trials, linearly between the nearest three; nothing beyond them. Each trial is a point.

    Trials at the same place count by their mean. x, y: numeric parameters, with or without `trial.`.
    at_epoch: compares all trials that reached it, by the epochs table; else completed trials count.

    Raises:
        AnalysisError: no such metric, parameter or epoch, x and y the same, or one of them has no numbers.
    """
    found = comparable(trials, metric, epochs, at_epoch)
    columns = [_numeric(trials, name) for name in (x, y)]
    if columns[0] == columns[1]:
        raise AnalysisError(f"x and y are both `{x}`; name two parameters")
    both = found.trials[columns].notna().all(axis=1)
    scales = [make_scale(found.trials.loc[both, column]) for column in columns]
    figure, axes = new_figure(6.6, 4.6, theme)
    filled = _draw(axes, scales, found, found.values[both].to_numpy(), theme)
    set_ticks(axes, scales[0], longest_row=60)
    axes.set_yticks([place for place, _ in scales[1].ticks], [text for _, text in scales[1].ticks], fontsize=SMALL_SIZE)
    axes.set_ylabel(shortened(scales[1].name, 36) + (" (log)" if scales[1].log else ""), fontsize=SMALL_SIZE + 0.5)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    told = [found.told, "points: trials"]
    told += [] if filled else ["too few places for contours"]
    title_block(axes, f"Contours: {title(found.metric)}", " · ".join(told), theme)
    return figure


def _numeric(trials: pd.DataFrame, name: str) -> str:
    column = parameter(trials, name)
    if not pd.api.types.is_numeric_dtype(trials[column]) or pd.api.types.is_bool_dtype(trials[column]):
        raise AnalysisError(f"`{label(column)}` holds no numbers, between which there are contours; use a heat map")
    return column


def _draw(axes: Axes, scales: list[Scale], found: Comparable, values: np.ndarray, theme: Theme) -> bool:
    """Draws points and, if there are enough of them, contours; says whether there were."""
    across, up = (scale.places for scale in scales)
    colours = SEQUENTIAL if more_is_better(found.metric) else f"{SEQUENTIAL}_r"
    means = pd.DataFrame({"x": across, "y": up, "value": values}).groupby(["x", "y"])["value"].mean().reset_index()
    enough = _spread_out(means) and means["value"].nunique() > 1
    if enough:
        mesh = axes.tricontourf(means["x"], means["y"], means["value"], levels=LEVELS, cmap=colours)
        bar = axes.figure.colorbar(mesh, ax=axes, fraction=0.05, pad=0.02)
        bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground, labelsize=SMALL_SIZE, length=0)
        bar.ax.yaxis.set_major_formatter(lambda value, _: written(found.metric, value))
        bar.outline.set_visible(False)
    axes.scatter(across, up, s=22, color=theme.foreground, edgecolors=theme.background, linewidths=0.8, zorder=3)
    return bool(enough)


def _spread_out(means: pd.DataFrame) -> bool:
    if len(means) < LEAST_PLACES:
        return False
    centred = means[["x", "y"]].to_numpy() - means[["x", "y"]].to_numpy().mean(axis=0)
    return bool(np.linalg.svd(centred, compute_uv=False)[1] > NEARLY_A_LINE)
