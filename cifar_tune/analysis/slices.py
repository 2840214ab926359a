"""Slices: the metric against one parameter at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cifar_tune.analysis.comparable import Comparable, comparable
from cifar_tune.analysis.naming import more_is_better, title, written
from cifar_tune.analysis.parameters import chosen_parameters
from cifar_tune.analysis.scale import Scale, make_scale
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.hover import name_points
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import LIGHT, SMALL_SIZE, Theme, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS, ACROSS = 9, 3
PANEL_WIDTH, PANEL_HEIGHT = 3.1, 2.5
"""Inches."""
JITTER = 0.22
"""Words stand side by side: their points are spread over this share of the way to the next on both sides."""
LONGEST_ROW = 30
"""Characters of all labels that fit below a plot side by side; else they are turned."""


def slice_figure(
    trials: pd.DataFrame,
    metric: str = "validation_accuracy",
    *,
    parameters: Sequence[str] | None = None,
    epochs: pd.DataFrame | None = None,
    at_epoch: int | None = None,
    sweep: SweepFile | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """One plot a parameter with the metric of each trial, the best marked; of words also the median, as a line.

    parameters: with or without `trial.`; by default those that differ between trials, at most nine.
    at_epoch: compares all trials that reached it, by the epochs table; else completed trials count.

    Raises:
        AnalysisError: no such metric, parameter or epoch.
    """
    found = comparable(trials, metric, epochs, at_epoch)
    given = chosen_parameters(trials, parameters, sweep)
    shown = given[:MOST_PANELS] if len(found.trials) else []
    figure, panels = new_panels(len(shown), ACROSS, PANEL_WIDTH, PANEL_HEIGHT, theme)
    for place, (axes, column) in enumerate(zip(panels, shown, strict=True)):
        axes.sharey(panels[0]) if place else None
        _panel(axes, make_scale(found.trials[column]), found, theme)
        axes.tick_params(labelleft=place % ACROSS == 0)
    told = [found.told, "ring: the best"] if shown else [found.told]
    told += [f"{len(given) - MOST_PANELS} more parameters not shown"] if len(given) > MOST_PANELS else []
    told += [] if given else ["no parameter differs between trials"]
    figure_title_block(figure, f"Slices: {title(found.metric)}", " · ".join(told), theme)
    return figure


def _panel(axes: Axes, scale: Scale, found: Comparable, theme: Theme) -> None:
    places, values = scale.places.copy(), found.values.to_numpy()
    if not scale.numeric:
        reach = JITTER / max(1, len(scale.ticks) - 1)
        for place, _ in scale.ticks:
            here = np.flatnonzero(scale.places == place)
            places[here] += reach * np.linspace(-1, 1, len(here)) if len(here) > 1 else 0
            if len(here):
                axes.hlines(np.median(values[here]), place - reach, place + reach, colors=theme.series[1], linewidth=2)
    axes.scatter(places, values, s=18, color=theme.series[0], alpha=0.6, linewidths=0)
    name_points(axes, places, values, found.trials["trial_id"].tolist())
    best = values.argmax() if more_is_better(found.metric) else values.argmin()
    axes.scatter(places[best], values[best], s=60, facecolors="none", edgecolors=theme.foreground, linewidths=1.4)
    set_ticks(axes, scale)
    axes.set_xlim(-0.3 / max(1, len(scale.ticks) - 1), 1 + 0.3 / max(1, len(scale.ticks) - 1))
    if scale.numeric:
        axes.set_xlim(-0.05, 1.05)
    axes.yaxis.set_major_formatter(lambda value, _: written(found.metric, value))


def set_ticks(axes: Axes, scale: Scale, longest_row: int = LONGEST_ROW) -> None:
    """Writes the scale's labels and name below a plot; labels are turned where they would not fit side by side."""
    labels = [shortened(text, 16) for _, text in scale.ticks]
    axes.set_xticks([place for place, _ in scale.ticks], labels, fontsize=SMALL_SIZE)
    if sum(map(len, labels)) > longest_row:
        axes.tick_params(axis="x", labelrotation=30)
        for tick in axes.get_xticklabels():
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")
    axes.set_xlabel(shortened(scale.name, 34) + (" (log)" if scale.log else ""), fontsize=SMALL_SIZE + 0.5)
