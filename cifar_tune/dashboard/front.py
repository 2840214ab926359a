"""The Pareto front of a sweep with several objectives, and how it grew, for plotly.js."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from cifar_tune.analysis.naming import title
from cifar_tune.analysis.pareto import MOST_OBJECTIVES, completed, hypervolume_history, pareto
from cifar_tune.analysis.pareto_figure import LOGARITHMIC, upright
from cifar_tune.analysis.pareto_text import hypervolume_caption, pareto_caption
from cifar_tune.analysis.reports.descriptions import descriptions
from cifar_tune.dashboard.figures import Figure, figure_of, times_of
from cifar_tune.dashboard.live import Snapshot
from cifar_tune.dashboard.values import plain_column
from cifar_tune.dashboard.views import several_objectives
from cifar_tune.plotting.theme import Theme
from cifar_tune.results.columns import STOPPED

MOST_POINTS = 5000
"""Of dominated and of stopped trials, the last ones; more than a browser draws at once."""


def front(snapshot: Snapshot, theme: Theme) -> dict[str, Any] | None:
    """What is learnt against each cost, as a report draws it; None with one objective or before a trial completed."""
    trials, objectives = snapshot.trials, snapshot.sweep.objectives
    if not several_objectives(snapshot) or completed(trials, objectives).empty:
        return None
    across = upright(objectives)
    return {
        "told": pareto_caption(trials, objectives),
        "plots": [
            {"name": f"{_short(across)} against {_short(cost)}", "figure": _plot(snapshot, (cost, across), theme)}
            for cost in objectives
            if cost != across
        ],
    }


def _plot(snapshot: Snapshot, pair: tuple[str, str], theme: Theme) -> Figure:
    trials, objectives = snapshot.trials, snapshot.sweep.objectives
    x, y = pair
    whole = completed(trials, objectives)
    ahead = whole.set_index("trial_id", drop=False).loc[pareto(trials, objectives)["trial_id"]].reset_index(drop=True)
    beaten = whole[~whole["trial_id"].isin(ahead["trial_id"])]
    stopped = trials[(trials["status"] == STOPPED) & trials[[*pair]].notna().all(axis=1)]
    edge = pareto(ahead, pair).sort_values(x)
    faint = {"color": theme.muted, "size": 7}
    traces = [
        _points("stopped", stopped.tail(MOST_POINTS), pair, {**faint, "symbol": "x-thin-open"}),
        _points("dominated", beaten.tail(MOST_POINTS), pair, {**faint, "opacity": 0.55}),
        {
            "type": "scatter",
            "mode": "lines",
            "x": plain_column(edge[x]),
            "y": plain_column(edge[y]),
            "line": {"color": theme.series[0], "width": 1.6, "shape": "hv"},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        _points("Pareto front", ahead, pair, {"color": theme.series[0], "size": 10}, _told(snapshot, ahead)),
    ]
    figure = figure_of([trace for trace in traces if trace["x"]], theme, x=title(x), y=y)
    values = pd.concat([whole[x], stopped[x]]).astype(float)
    if values.min() > 0 and values.max() / values.min() > LOGARITHMIC:
        figure["layout"]["xaxis"] |= {"type": "log", "dtick": "D2"}
    return figure


def _points(
    name: str, some: pd.DataFrame, pair: tuple[str, str], marker: dict[str, Any], told: list[str] | None = None
) -> dict[str, Any]:
    x, y = pair
    names = plain_column(some["trial_id"])
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": plain_column(some[x]),
        "y": plain_column(some[y]),
        "marker": marker,
        "customdata": names,
        "text": told or [escape(one) for one in names],
        "hovertemplate": "%{text}<br>%{y}, %{x}<extra></extra>",
    }


def _told(snapshot: Snapshot, some: pd.DataFrame) -> list[str]:
    """Trial and configuration, for under the pointer."""
    told = descriptions(some, upright(snapshot.sweep.objectives), snapshot.sweep)
    return [escape(f"{name}\n{told[name]}").replace("\n", "<br>") for name in plain_column(some["trial_id"])]


def covered(snapshot: Snapshot, theme: Theme) -> Figure | None:
    """The share of the space of objectives that the front covers, against time; None where there is no such share."""
    trials, objectives = snapshot.trials, snapshot.sweep.objectives
    if len(completed(trials, objectives)) < 2 or len(objectives) > MOST_OBJECTIVES:
        return None
    table = hypervolume_history(trials, objectives)
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "hypervolume",
        "x": times_of(snapshot, table),
        "y": plain_column(table["hypervolume"]),
        "text": [escape(name) for name in plain_column(table["trial_id"])],
        "line": {"color": theme.series[0], "shape": "hv"},
        "hovertemplate": "%{text}: %{y}<br>%{x}<extra></extra>",
    }
    figure = figure_of([trace], theme, x="time (UTC)", y="")
    figure["layout"]["yaxis"] |= {"title": {"text": "hypervolume"}, "tickformat": ".0%", "range": [0, 1.03]}
    return figure | {"told": hypervolume_caption(trials, objectives)}


def _short(name: str) -> str:
    return title(name).split(" (")[0]
