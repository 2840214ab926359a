"""The Pareto front as a figure, and how it grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from cifar_tune.analysis.naming import more_is_better, title, written
from cifar_tune.analysis.pareto import completed, pareto, signed
from cifar_tune.pareto import non_dominated
from cifar_tune.plotting.hover import name_points
from cifar_tune.plotting.theme import DOTS_PER_INCH, LIGHT, SMALL_SIZE, Theme, new_figure, style, title_block
from cifar_tune.results.columns import STOPPED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 7.2, 4.6
"""Inches of each plot."""
ROOM = (0.09, 0.045)
"""Share of the plot's width and height that a name takes."""
LOGARITHMIC = 10
"""Values that span more than this ratio are drawn on a logarithmic axis."""


def pareto_figure(trials: pd.DataFrame, objectives: Sequence[str], theme: Theme = LIGHT) -> Figure:
    """What is learnt against each cost: the front in colour, dominated trials faint, stopped ones as crosses.

    Raises:
        AnalysisError: no such metric.
    """
    from cifar_tune.plotting.plain_figure import PlainFigure

    across = upright(objectives)
    costs = [name for name in objectives if name != across]
    figure = PlainFigure((WIDTH, HEIGHT * len(costs)), DOTS_PER_INCH, layout="constrained", facecolor=theme.background)
    for place, cost in enumerate(costs, start=1):
        axes = figure.add_subplot(len(costs), 1, place)
        style(axes, theme)
        _plot(axes, trials, objectives, (cost, across), theme)
        title_block(axes, f"{_short(across).capitalize()} against {_short(cost)}", _told(trials, objectives), theme)
    return figure


def upright(objectives: Sequence[str]) -> str:
    """The objective on the vertical axis: an accuracy where there is one, else what else is learnt."""
    return min(objectives, key=lambda name: (not more_is_better(name), not name.startswith("validation")))


def _plot(axes: Axes, trials: pd.DataFrame, objectives: Sequence[str], pair: tuple[str, str], theme: Theme) -> None:
    whole, front = completed(trials, objectives), pareto(trials, objectives)
    beaten = whole[~whole["trial_id"].isin(front["trial_id"])]
    stopped = trials[(trials["status"] == STOPPED) & trials[[*pair]].notna().all(axis=1)]
    x, y = pair
    axes.scatter(stopped[x], stopped[y], s=20, marker="x", color=theme.muted, alpha=0.7, linewidths=1, label="stopped")
    axes.scatter(beaten[x], beaten[y], s=22, color=theme.muted, alpha=0.45, linewidths=0, label="dominated")
    edge = front[non_dominated(signed(front, pair))].sort_values(x)
    axes.step(edge[x], edge[y], where="post", color=theme.series[0], linewidth=1.6, zorder=2)
    axes.scatter(
        front[x], front[y], s=34, color=theme.series[0], edgecolors=theme.background, zorder=3, label="Pareto front"
    )
    _scale(axes, pd.concat([whole[x], stopped[x]]), x)
    for some in (front, beaten, stopped):
        name_points(axes, some[x], some[y], some["trial_id"].tolist())
    _name(axes, front, pair, theme)
    axes.yaxis.set_major_formatter(lambda value, _: written(y, value))
    axes.set_xlabel(title(x))
    axes.set_ylabel(title(y))
    axes.legend(
        loc="upper right",
        bbox_to_anchor=(1, -0.09),
        ncols=3,
        fontsize=SMALL_SIZE,
        frameon=False,
        labelcolor=theme.foreground,
        handletextpad=0.1,
    )
    axes.xaxis.set_label_coords(0, -0.12)
    axes.xaxis.label.set_horizontalalignment("left")


def _scale(axes: Axes, values: pd.Series[float], name: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    if len(values) and values.min() > 0 and values.max() / values.min() > LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: written(name, value))


def _name(axes: Axes, front: pd.DataFrame, pair: tuple[str, str], theme: Theme) -> None:
    """Names the trials of the front, as far as there is room."""
    x, y = pair
    named: list[tuple[float, float]] = []
    for _, alike in front.groupby([*pair]):
        point = (float(alike[x].iloc[0]), float(alike[y].iloc[0]))
        across, up = axes.transAxes.inverted().transform(axes.transData.transform(point))
        if any(abs(across - a) < ROOM[0] and abs(up - b) < ROOM[1] for a, b in named):
            continue
        named.append((across, up))
        text = ", ".join(map(str, alike["trial_id"]))
        axes.annotate(text, point, (4, -11), textcoords="offset points", fontsize=SMALL_SIZE, color=theme.foreground)


def _told(trials: pd.DataFrame, objectives: Sequence[str]) -> str:
    front, whole = len(pareto(trials, objectives)), len(completed(trials, objectives))
    line = "" if len(objectives) == 2 else " · line: front of these two alone"
    return f"{front} of {whole} completed trials on the front · crosses: when they were stopped{line}"


def _short(name: str) -> str:
    return title(name).split(" (")[0]


def hypervolume_figure(table: pd.DataFrame, objectives: Sequence[str], theme: Theme = LIGHT) -> Figure:
    """What the front had covered, against hours, or minutes where the sweep was short."""
    figure, axes = new_figure(WIDTH, 3.6, theme)
    unit, scale = ("hours", 1.0) if table["hours"].max() >= 1 else ("minutes", 60.0)
    axes.step(table["hours"] * scale, 100 * table["hypervolume"], where="post", color=theme.series[0], linewidth=2)
    axes.set_xlabel(f"{unit} since the start")
    axes.set_ylabel("hypervolume (%)")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 103)
    count = f"{int(table['front'].iloc[-1])} of {len(table)} completed trials on the front at the end"
    title_block(axes, "What the front had covered", f"{', '.join(map(_short, objectives))} · {count}", theme)
    return figure
