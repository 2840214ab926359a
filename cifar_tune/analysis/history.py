"""How the best value of a sweep rose, against trials, hours and GPU-hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd

from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.naming import more_is_better, title, written
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.hover import name_points
from cifar_tune.plotting.theme import LIGHT, SMALL_SIZE, Theme, new_figure, title_block
from cifar_tune.results.columns import COMPLETED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOUR = 3600.0

Spent = Literal["hours", "gpu_hours", "trials"]
SPENT: tuple[Spent, ...] = get_args(Spent)


def history(trials: pd.DataFrame, metric: str = "validation_accuracy") -> pd.DataFrame:
    """One row a completed trial, in the order in which they ended: what the sweep had found and spent by then.

    Columns: trial_id; trials: ended by then, of any status; hours: since the first trial started; gpu_hours: of all
    trials ended; value: the trial's own; best: of all completed so far.

    Raises:
        AnalysisError: no such metric.
    """
    metric = known_metric(trials, metric)
    ended = trials[trials["ended_at"].notna()].sort_values("ended_at", kind="stable")
    hours = (ended["ended_at"] - trials["started_at"].min()).dt.total_seconds() / HOUR
    table = pd.DataFrame(
        {
            "trial_id": ended["trial_id"],
            "trials": range(1, len(ended) + 1),
            "hours": hours,
            "gpu_hours": ended["gpu_seconds"].fillna(0).cumsum() / HOUR,
            "value": ended[metric].astype(float),
        }
    )[(ended["status"] == COMPLETED) & ended[metric].notna()]
    table["best"] = table["value"].cummax() if more_is_better(metric) else table["value"].cummin()
    return table.reset_index(drop=True)


def history_figure(
    table: pd.DataFrame, metric: str = "validation_accuracy", theme: Theme = LIGHT, against: Spent = "hours"
) -> Figure:
    """The best value so far, and each completed trial's, against what was spent; short times in minutes.

    table: of `history`. against: hours since the start, GPU-hours, or trials ended.

    Raises:
        AnalysisError: `against` is none of these.
    """
    if against not in SPENT:
        raise AnalysisError(f"`{against}` is nothing that a sweep spends; there are {', '.join(SPENT)}")
    figure, axes = new_figure(7.2, 3.6, theme)
    words, scale = _axis(against, float(table[against].max()) if len(table) else 0.0)
    spent = table[against] * scale
    axes.scatter(spent, table["value"], s=16, color=theme.muted, alpha=0.6, linewidths=0, label="completed trial")
    name_points(axes, spent, table["value"], table["trial_id"].tolist())
    axes.step(spent, table["best"], where="post", color=theme.series[0], linewidth=2, label="best so far")
    axes.yaxis.set_major_formatter(lambda value, _: written(metric, value))
    axes.set_xlabel(words)
    axes.legend(loc="best", fontsize=SMALL_SIZE, frameon=False, labelcolor=theme.foreground)
    axes.set_xlim(left=0)
    title_block(axes, f"What the search had found: {title(metric)}", _told(table), theme)
    return figure


def _axis(against: Spent, most: float) -> tuple[str, float]:
    """What the axis is called, and how many of its units an hour or a trial is."""
    if against == "trials":
        return "trials ended", 1.0
    unit, scale = ("hours", 1.0) if most >= 1 else ("minutes", 60.0)
    return (f"{unit} since the start" if against == "hours" else f"GPU-{unit} of the trials ended"), scale


def _told(table: pd.DataFrame) -> str:
    if table.empty:
        return "no trial has completed"
    last = table.iloc[-1]
    spent = f", {last['gpu_hours']:.3g} GPU-hours" if last["gpu_hours"] > 0 else ""
    return f"{len(table)} completed of {int(last['trials'])} trials ended by then{spent}"
