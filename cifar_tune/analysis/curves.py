"""Learning curves, with the moment and the reason of stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cifar_tune.analysis.budget import common_keys
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.ranking import ranking
from cifar_tune.plotting.hover import name_points
from cifar_tune.plotting.theme import LIGHT, SMALL_SIZE, Theme, new_figure, shortened, title_block
from cifar_tune.results.columns import DIVERGED, FAILED, INTERRUPTED, STOPPED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = {STOPPED: "x", DIVERGED: "^", FAILED: "s", INTERRUPTED: "|"}
"""At the end of a curve; completed and running trials have none."""
NAMED = 5
"""Best trials in colour, the others in grey."""


def learning_curves(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str = "validation_accuracy") -> pd.DataFrame:
    """One row a measured epoch: trial_id, epoch, value, the trial's status and reason, and whether it is the last.

    Raises:
        AnalysisError: no such metric.
    """
    metric = known_metric(epochs, metric)
    keys = common_keys(trials, epochs)
    measured = epochs.loc[epochs[metric].notna(), [*keys, "epoch", metric]].rename(columns={metric: "value"})
    told = trials[[*keys, "status", "status_reason"]]
    curves = measured.astype(dict.fromkeys(keys, object)).merge(told.astype(dict.fromkeys(keys, object)), on=keys)
    curves["last"] = ~curves.duplicated(keys, keep="last")
    return curves


def curves_figure(
    trials: pd.DataFrame, epochs: pd.DataFrame, metric: str = "validation_accuracy", theme: Theme = LIGHT
) -> Figure:
    """All curves, the best completed trials in colour, a mark where a trial was stopped, rungs as lines.

    Raises:
        AnalysisError: no such metric.
    """
    from matplotlib.ticker import MaxNLocator

    curves = learning_curves(trials, epochs, metric)
    best = ranking(trials, metric, top=NAMED)["trial_id"].tolist()
    figure, axes = new_figure(7.2, 4.2, theme)
    _rungs(axes, epochs, theme)
    _lines(axes, curves[~curves["trial_id"].isin(best)], theme)
    for place, trial_id in reversed(list(enumerate(best))):
        curve = curves[curves["trial_id"] == trial_id]
        colour = theme.series[place % len(theme.series)]
        label = f"{shortened(trial_id)}: {written(metric, float(curve['value'].iloc[-1]))}"
        axes.plot(curve["epoch"], curve["value"], color=colour, linewidth=2, label=label)
    _marks(axes, curves, theme)
    name_points(axes, curves["epoch"], curves["value"], curves["trial_id"].tolist())
    axes.yaxis.set_major_formatter(lambda value, _: written(metric, value))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1], labels[::-1], loc="best", fontsize=SMALL_SIZE, frameon=False, labelcolor=theme.foreground
    )
    title_block(axes, f"Learning curves: {title(metric)}", _told(curves), theme)
    return figure


def _lines(axes: Axes, curves: pd.DataFrame, theme: Theme) -> None:
    from matplotlib.collections import LineCollection

    starts = np.flatnonzero(curves["last"].shift(fill_value=True))
    lines = np.split(curves[["epoch", "value"]].to_numpy(float), starts[1:])
    axes.add_collection(LineCollection(lines, colors=theme.muted, linewidths=0.8, alpha=0.45))
    axes.autoscale_view()


def _marks(axes: Axes, curves: pd.DataFrame, theme: Theme) -> None:
    for status, mark in MARKS.items():
        ends = curves[curves["last"] & (curves["status"] == status)]
        if len(ends):
            axes.scatter(ends["epoch"], ends["value"], s=22, marker=mark, color=theme.muted, linewidths=1, label=status)


def _rungs(axes: Axes, epochs: pd.DataFrame, theme: Theme) -> None:
    for rung in sorted(epochs["rung"].dropna().unique()) if "rung" in epochs.columns else []:
        axes.axvline(float(rung), color=theme.faint, linewidth=1, linestyle=(0, (2, 3)), zorder=0)


def _told(curves: pd.DataFrame) -> str:
    ended = curves[curves["last"]]["status"].value_counts()
    parts = [f"{ended[status]} {status}" for status in ended.index if ended[status]]
    return f"{int(curves['last'].sum())} trials: {', '.join(parts)} · dotted: rungs, where the scheduler decides"
