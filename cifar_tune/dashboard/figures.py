"""Figures for plotly.js, as plain values: traces and layout in a theme's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from cifar_tune.analysis.curves import MARKS, learning_curves
from cifar_tune.analysis.history import history
from cifar_tune.analysis.importance import importance
from cifar_tune.analysis.naming import UNITS, title
from cifar_tune.dashboard.live import Snapshot
from cifar_tune.dashboard.values import plain_column
from cifar_tune.dashboard.views import objective
from cifar_tune.plotting.theme import DARK, LIGHT, Theme, shortened
from cifar_tune.results.columns import RUNNING

THEMES: Mapping[str, Theme] = {"light": LIGHT, "dark": DARK}
SYMBOLS = {"x": "x-thin", "^": "triangle-up", "s": "square", "|": "line-ns"}
"""plotly.js's names of Matplotlib's marks."""
DASHES = ("solid", "dash", "dot", "dashdot")
"""Where the colours begin again, the next of these tells the curves apart."""
MOST_CURVES = 60
"""Drawn at once; more cannot be told apart, and take a browser longer than a second."""
MOST_NAMED = 12
"""Curves that a legend still names."""

MOST_TICKS = 12
"""Epochs up to which each has its number below the axis."""

Figure = dict[str, Any]


def curves(snapshot: Snapshot, trial_ids: Sequence[str], metric: str, theme: Theme) -> Figure:
    """Learning curves of these trials, rungs as dotted lines, a mark where a trial was stopped.

    Raises:
        AnalysisError: no such metric.
    """
    shown = list(dict.fromkeys(trial_ids))[:MOST_CURVES]
    epochs = snapshot.epochs[snapshot.epochs["trial_id"].isin(shown)]
    trials = snapshot.trials[snapshot.trials["trial_id"].isin(shown)]
    points = learning_curves(trials, epochs, metric)
    by_trial = dict(iter(points.groupby("trial_id", observed=True)))
    drawn = [trial_id for trial_id in shown if trial_id in by_trial]
    traces = [_curve(by_trial[trial_id], trial_id, place, theme) for place, trial_id in enumerate(drawn)]
    figure = figure_of(traces, theme, x="epoch", y=metric)
    rungs = sorted(int(rung) for rung in snapshot.epochs["rung"].dropna().unique())
    figure["layout"]["shapes"] = [_rung(rung, theme) for rung in rungs]
    figure["layout"]["showlegend"] = len(traces) <= MOST_NAMED
    figure["layout"]["xaxis"] |= {"dtick": 1} if points["epoch"].max() <= MOST_TICKS else {}
    finite = points["value"][np.isfinite(points["value"].astype(float))]
    if finite.nunique() == 1:
        only = float(finite.iloc[0])
        figure["layout"]["yaxis"]["range"] = [only - 0.1 * abs(only or 1), only + 0.1 * abs(only or 1)]
    figure["left_out"] = len(set(trial_ids)) - len(shown)
    return figure


def _curve(points: pd.DataFrame, trial_id: str, place: int, theme: Theme) -> dict[str, Any]:
    last = points.iloc[-1]
    status, reason = str(last["status"]), last["status_reason"]
    told = status if pd.isna(reason) else f"{status}: {escape(str(reason))}"
    symbol = SYMBOLS.get(MARKS.get(status, ""), "circle")
    colour = theme.series[place % len(theme.series)]
    sizes = [0] * (len(points) - 1) + [8 if status in MARKS or len(points) == 1 or status == RUNNING else 0]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(shortened(trial_id)),
        "x": plain_column(points["epoch"]),
        "y": plain_column(points["value"]),
        "line": {"color": colour, "width": 2, "dash": DASHES[place // len(theme.series) % len(DASHES)]},
        "marker": {"size": sizes, "symbol": symbol, "color": colour, "line": {"color": colour, "width": 2}},
        "text": [""] * (len(points) - 1) + [told],
        "hovertemplate": "epoch %{x}: %{y}<br>%{text}",
    }


def _rung(epoch: int, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    return {"type": "line", "yref": "paper", "x0": epoch, "x1": epoch, "y0": 0, "y1": 1, "layer": "below", "line": line}


def best_so_far(snapshot: Snapshot, theme: Theme) -> Figure | None:
    """The best value so far against time; None with fewer than two completed trials."""
    metric = objective(snapshot)
    table = history(snapshot.trials, metric)
    if len(table) < 2:
        return None
    times = times_of(snapshot, table)
    own = {"color": theme.muted, "size": 6, "opacity": 0.6}
    traces: list[dict[str, Any]] = [
        {"mode": "markers", "name": "completed trial", "y": plain_column(table["value"]), "marker": own},
        {
            "mode": "lines",
            "name": "best so far",
            "y": plain_column(table["best"]),
            "line": {"color": theme.series[0], "shape": "hv"},
        },
    ]
    names = [escape(str(trial_id)) for trial_id in table["trial_id"]]
    shared = {"type": "scatter", "x": times, "text": names, "hovertemplate": "%{text}: %{y}<br>%{x}<extra></extra>"}
    return figure_of([shared | trace for trace in traces], theme, x="time (UTC)", y=metric)


def times_of(snapshot: Snapshot, table: pd.DataFrame) -> list[Any]:
    """When the trials of a table with the column `hours`, since the start, ended."""
    start = snapshot.trials["started_at"].min()
    return plain_column(start + pd.to_timedelta(table["hours"], unit="h"))


def importances(snapshot: Snapshot, theme: Theme) -> Figure:
    """Importance of the parameters with standard deviations; `caution` says why not to rely on it, if so."""
    found = importance(snapshot.trials, snapshot.epochs, objective(snapshot), sweep=snapshot.sweep)
    table = found.table.iloc[::-1]
    names = [escape(shortened(name, 30)) for name in table["parameter"]]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": names,
            "x": plain_column(table[column]),
            "error_x": {"type": "data", "array": plain_column(table[f"{column}_sd"]), "color": theme.muted, "width": 3},
            "marker": {"color": colour},
            "hovertemplate": "%{y}: %{x:.3f}",
        }
        for column, colour, name in (
            ("main_effect", theme.series[1], "share of variance alone (fANOVA)"),
            ("permutation", theme.series[0], "loss of R² when shuffled"),
        )
    ]
    figure = figure_of(traces if len(table) else [], theme, x="", y="")
    figure["layout"]["height"] = 130 + 44 * len(table)
    figure["layout"]["legend"]["traceorder"] = "reversed"
    when = f"at epoch {found.epoch}" if found.epoch else "completed"
    told = f"{found.trials} trials {when}, R² {found.explained:.2f} on held-out trials; bars: ± standard deviation"
    return figure | {"caution": found.caution, "told": told if len(table) else ""}


def figure_of(traces: Sequence[Mapping[str, Any]], theme: Theme, *, x: str, y: str) -> Figure:
    """Traces with the layout that all figures share. y: a metric, which the axis is titled and written after."""
    grid = {"gridcolor": theme.faint, "linecolor": theme.faint, "zerolinecolor": theme.faint, "automargin": True}
    layout = {
        "paper_bgcolor": theme.background,
        "plot_bgcolor": theme.background,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": theme.foreground},
        "hoverlabel": {"bgcolor": theme.background, "bordercolor": theme.muted, "font": {"color": theme.foreground}},
        "margin": {"l": 56, "r": 12, "t": 12, "b": 44},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "xaxis": {**grid, "title": {"text": x}},
        "yaxis": {**grid, "title": {"text": title(y).split(" (")[0] if y else ""}, **_ticks(y)},
    }
    return {"data": list(traces), "layout": layout}


def _ticks(metric: str) -> dict[str, Any]:
    match UNITS.get(metric):
        case "fraction":
            return {"tickformat": ".2~%", "hoverformat": ".2%"}
        case "bytes":
            return {"tickformat": ".3s", "hoverformat": ".4s", "ticksuffix": "B"}
    return {"hoverformat": ".4~g"}
