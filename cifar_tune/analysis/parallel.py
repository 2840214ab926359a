"""Parallel coordinates: a line a trial, through its parameters to its metric."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cifar_tune.analysis.comparable import comparable
from cifar_tune.analysis.naming import more_is_better, title, written
from cifar_tune.analysis.parameters import chosen_parameters
from cifar_tune.analysis.scale import Scale, make_scale
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.theme import (
    LIGHT,
    SEQUENTIAL,
    SMALL_SIZE,
    Theme,
    contrast_color,
    new_figure,
    shortened,
    title_block,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST_AXES = 8
BEST_DRAWN_THICK = 5
AXIS_WIDTH, HEIGHT = 1.45, 4.2
"""Inches."""
METRIC_LABELS = 5
WIDEST_NAME = 16
"""Characters below an axis."""


def parallel_figure(
    trials: pd.DataFrame,
    metric: str = "validation_accuracy",
    *,
    parameters: Sequence[str] | None = None,
    epochs: pd.DataFrame | None = None,
    at_epoch: int | None = None,
    sweep: SweepFile | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """A line a trial, the metric on the right; better trials stand out more, the best five are thick.

    parameters: with or without `trial.`; by default those that differ between trials, at most eight.
    at_epoch: compares all trials that reached it, by the epochs table; else completed trials count.

    Raises:
        AnalysisError: no such metric, parameter or epoch.
    """
    found = comparable(trials, metric, epochs, at_epoch)
    given = chosen_parameters(trials, parameters, sweep)
    shown = given[:MOST_AXES] if len(found.trials) else []
    figure, axes = new_figure(max(5.2, AXIS_WIDTH * (len(shown) + 1) + 0.8), HEIGHT, theme)
    axes.set_axis_off()
    told = [found.told]
    if shown:
        scales = [make_scale(found.trials[column]) for column in shown]
        _lines(axes, scales, found.values.to_numpy(), more_is_better(found.metric), theme)
        for place, scale in enumerate(scales):
            _axis(axes, place, scale.ticks, scale.name + (" (log)" if scale.log else ""), theme)
        _axis(axes, len(scales), _metric_ticks(found.metric, found.values), title(found.metric), theme, right=True)
        axes.set_xlim(-0.35, len(scales) + 0.45)
        axes.set_ylim(-0.16, 1.03)
        told += [f"thick: the best {min(BEST_DRAWN_THICK, len(found.trials))}"] if len(found.trials) > 1 else []
    told += [f"{len(given) - MOST_AXES} more parameters not shown"] if len(given) > MOST_AXES else []
    told += [] if given else ["no parameter differs between trials"]
    title_block(axes, "Parallel coordinates", " · ".join(told), theme)
    return figure


def _lines(axes: Axes, scales: list[Scale], values: np.ndarray, more: bool, theme: Theme) -> None:
    from matplotlib.collections import LineCollection

    ends = _shares(values)
    worst_first = np.argsort(ends if more else -ends, kind="stable")
    points = np.column_stack([*(scale.places for scale in scales), ends])[worst_first]
    lines = [np.column_stack([np.arange(points.shape[1]), one]) for one in points]
    goodness = points[:, -1] if more else 1 - points[:, -1]
    thick = np.arange(len(lines)) >= len(lines) - BEST_DRAWN_THICK
    widths = np.where(thick, 2.4, 0.9)
    axes.add_collection(LineCollection(lines, colors=standing_out(theme)(goodness), linewidths=widths, alpha=0.85))


def _shares(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.full(len(values), 0.5)


def _metric_ticks(metric: str, values: pd.Series[float]) -> tuple[tuple[float, str], ...]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return ((0.5, written(metric, low)),)
    shares = np.linspace(0, 1, METRIC_LABELS)
    return tuple((float(share), written(metric, low + share * (high - low))) for share in shares)


def _axis(
    axes: Axes, place: int, ticks: tuple[tuple[float, str], ...], name: str, theme: Theme, *, right: bool = False
) -> None:
    axes.plot([place, place], [0, 1], color=theme.muted, linewidth=1, zorder=3)
    behind = {"facecolor": theme.background, "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
    for height, text in ticks:
        axes.annotate(
            shortened(text, 14), (place, height), (5 if right else -5, 0), textcoords="offset points",
            ha="left" if right else "right", va="center", fontsize=SMALL_SIZE, color=theme.foreground, bbox=behind,
            zorder=4,
        )  # fmt: skip
    axes.text(
        place, -0.06, _broken(name), ha="center", va="top", fontsize=SMALL_SIZE, color=theme.foreground,
        fontweight="bold" if right else "normal",
    )  # fmt: skip


def _broken(name: str) -> str:
    """A long name broken at its spaces, or behind its last dot."""
    if " " in name:
        return "\n".join(textwrap.wrap(name, WIDEST_NAME))
    first, mark, second = name.rpartition(".") if len(name) > WIDEST_NAME else ("", "", name)
    return f"{shortened(first + mark, WIDEST_NAME + 2)}\n{shortened(second, WIDEST_NAME + 2)}".strip()


def standing_out(theme: Theme) -> Colormap:
    """Colours from 0 to 1, the higher the further from the background in lightness."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, to_rgb

    dark_ink = contrast_color(to_rgb(theme.background)) == "#111111"
    shares = np.linspace(0.85, 0.0, 256) if dark_ink else np.linspace(0.25, 1.0, 256)
    return ListedColormap(colormaps[SEQUENTIAL](shares))
