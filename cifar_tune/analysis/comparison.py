"""Two sweeps beside each other: at equal epochs, at equal cost, as distributions, and parameter by parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cifar_tune.analysis.budget import measured_by_epoch, values_at
from cifar_tune.analysis.naming import label, more_is_better, short_number, title, written
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.parameters import SEEDS, varied_parameters
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import LIGHT, SMALL_SIZE, TEXT_SIZE, Theme, shortened
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX
from cifar_tune.results.reading import Frames

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOUR = 3600.0
COSTS = (0.25, 0.5, 0.75, 1.0)
"""Shares of what the cheaper sweep cost."""
QUANTILES = {"worst": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75, "best": 1.0}


@dataclass(frozen=True)
class SweepComparison:
    """names: of both sweeps; they are columns of each table.

    at_epoch: best of the trials that reached the epoch, and how many did (`n <name>`). at_cost: best completed trial by
    the time that this many hours of training were spent (column `hours`). distribution: of the completed trials.
    parameters: values or range of each parameter that differs within or between the sweeps, and that of the best trial
    (`best <name>`). curves: of each sweep, the steps of the best value against hours of training.
    """

    names: tuple[str, str]
    metric: str
    at_epoch: pd.DataFrame
    at_cost: pd.DataFrame
    distribution: pd.DataFrame
    parameters: pd.DataFrame
    curves: tuple[pd.DataFrame, pd.DataFrame]


def compare(a: Frames, b: Frames, metric: str = "validation_accuracy") -> SweepComparison:
    """Two sweeps, each as `cifar_tune.results.load` gives it, by a metric that both have.

    Raises:
        AnalysisError: one of them has no such metric.
    """
    both = (a, b)
    for frames in both:
        known_metric(frames.trials, metric)
    names = _names(a, b)
    completed = [_completed(frames.trials, metric) for frames in both]
    curves = (_spending(a.trials, metric), _spending(b.trials, metric))
    return SweepComparison(
        names=names,
        metric=metric,
        at_epoch=_at_epochs(both, names, metric),
        at_cost=_at_costs(curves, names),
        distribution=_distribution(completed, names, metric),
        parameters=_parameters(both, completed, names, metric),
        curves=curves,
    )


def _names(a: Frames, b: Frames) -> tuple[str, str]:
    one, other = (
        str(frames.trials["sweep"].iloc[0]) if len(frames.trials) else fallback
        for frames, fallback in ((a, "first"), (b, "second"))
    )
    return (one, other) if one != other else (f"{one} (first)", f"{other} (second)")


def _completed(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    return trials[(trials["status"] == COMPLETED) & trials[metric].notna()]


def _at_epochs(both: tuple[Frames, Frames], names: tuple[str, str], metric: str) -> pd.DataFrame:
    """One row an epoch that trials of both sweeps reached."""
    columns = ["epoch", *names, *(f"n {name}" for name in names)]
    if not all(measured_by_epoch(frames.epochs, metric) and len(frames.epochs) for frames in both):
        return pd.DataFrame(columns=columns)
    rows = []
    for epoch in range(1, min(int(frames.epochs["epoch"].max()) for frames in both) + 1):
        values = [values_at(frames.trials, frames.epochs, metric, epoch) for frames in both]
        best = [one.max() if more_is_better(metric) else one.min() for one in values]
        rows.append((epoch, *best, *(int(one.count()) for one in values)))
    return pd.DataFrame(rows, columns=columns)


def _spending(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row an ended trial in their order: `hours` of training spent by then, and the `best` completed value."""
    ended = trials[trials["ended_at"].notna()].sort_values("ended_at", kind="stable")
    values = ended[metric].astype(float).where(ended["status"] == COMPLETED)
    best = values.cummax() if more_is_better(metric) else values.cummin()
    hours = ended["train_seconds"].fillna(0).astype(float).cumsum() / HOUR
    return pd.DataFrame({"hours": hours, "best": best.ffill()}).reset_index(drop=True)


def _at_costs(curves: tuple[pd.DataFrame, pd.DataFrame], names: tuple[str, str]) -> pd.DataFrame:
    most = min((float(curve["hours"].max()) for curve in curves if len(curve)), default=0.0)
    hours = [share * most for share in COSTS] if most > 0 and all(map(len, curves)) else []
    found = {
        name: [curve.loc[curve["hours"] <= spent + 1e-12, "best"].tail(1).max() for spent in hours]
        for name, curve in zip(names, curves, strict=True)
    }
    return pd.DataFrame({"hours": hours, **found}, dtype=float)


def _distribution(completed: list[pd.DataFrame], names: tuple[str, str], metric: str) -> pd.DataFrame:
    """Rows: completed trials, quantiles of their values, and the seconds that one of them took in the median."""
    columns: dict[str, list[float]] = {}
    for name, one in zip(names, completed, strict=True):
        values = one[metric].astype(float)
        shares = [share if more_is_better(metric) else 1 - share for share in QUANTILES.values()]
        quantiles = [float(values.quantile(share)) for share in shares]
        columns[name] = [float(len(values)), *quantiles, float(one["train_seconds"].median())]
    return pd.DataFrame(columns, index=["completed trials", *QUANTILES, "train seconds (median)"])


def _parameters(
    both: tuple[Frames, Frames], completed: list[pd.DataFrame], names: tuple[str, str], metric: str
) -> pd.DataFrame:
    """First what varies, then what is the same within each sweep but not in both."""
    columns = list(
        dict.fromkeys(name for one in both for name in one.trials.columns if name.startswith(CONFIGURATION_PREFIX))
    )
    vary = {name for one in both for name in varied_parameters(one.trials)}
    best = [one.sort_values(metric, ascending=not more_is_better(metric)).head(1) for one in completed]
    rows = []
    for column in sorted(columns, key=lambda name: name not in vary):
        spans = [_span(frames.trials, column) for frames in both]
        if column in SEEDS or (column not in vary and spans[0] == spans[1]):
            continue
        rows.append((label(column), *spans, *(_span(one, column) for one in best)))
    return pd.DataFrame(rows, columns=["parameter", *names, *(f"best {name}" for name in names)])


def _span(trials: pd.DataFrame, column: str) -> str:
    """The values of a parameter: one, a few, or from the least to the greatest."""
    values: pd.Series[Any] = trials[column].dropna() if column in trials.columns else pd.Series(dtype=object)
    if values.empty:
        return "–"
    different = sorted(values.astype(object).unique(), key=str)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if len(different) > 3 and numeric:
        return f"{short_number(float(values.min()))} to {short_number(float(values.max()))}"
    ordered = sorted(different) if numeric else different
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(short_number(value) for value in ordered[:3]) + more


def comparison_words(found: SweepComparison) -> pd.DataFrame:
    """Both sweeps for people: at the last epoch and the largest cost that both have, and as distributions."""
    rows: list[tuple[str, float, float]] = []
    if len(found.at_epoch):
        last = found.at_epoch.iloc[-1]
        rows.append((f"best at epoch {last['epoch']:.0f}", *(last[name] for name in found.names)))
    if len(found.at_cost):
        last = found.at_cost.iloc[-1]
        rows.append((f"best after {last['hours']:.3g} hours of training", *(last[name] for name in found.names)))
    for quantity, values in found.distribution.iterrows():
        if quantity in QUANTILES:
            rows.append((f"{quantity} of the completed trials", *(values[name] for name in found.names)))
    words = [(quantity, *(written(found.metric, value) for value in both)) for quantity, *both in rows]
    counts = found.distribution.loc["completed trials"]
    words.insert(0, ("completed trials", *(f"{counts[name]:.0f}" for name in found.names)))
    return pd.DataFrame(words, columns=["quantity", *found.names])


def comparison_figure(found: SweepComparison, theme: Theme = LIGHT) -> Figure:
    """The best at equal epochs, and the best completed trial against hours of training, of both sweeps."""
    from matplotlib.ticker import MaxNLocator

    figure, panels = new_panels(2, 2, 4.4, 3.4, theme)
    by_epoch, by_cost = panels
    styles = ("-", (0, (4, 2)))
    most = max((float(curve["hours"].max()) for curve in found.curves if len(curve)), default=0.0)
    unit, scale = ("hours", 1.0) if most >= 1 else ("minutes", 60.0)
    for name, curve, colour, dashes in zip(found.names, found.curves, theme.series[:2], styles, strict=True):
        look: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 2, "label": shortened(name)}
        by_epoch.plot(found.at_epoch["epoch"], found.at_epoch[name], **look)
        by_cost.step(curve["hours"] * scale, curve["best"], where="post", **look)
    by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes, label_below, what in (
        (by_epoch, "epoch", "Best at an equal epoch"),
        (by_cost, f"{unit} of training", "Best completed trial"),
    ):
        _finish(axes, found.metric, label_below, what, theme)
    counts = found.distribution.loc["completed trials", [*found.names]].astype(int)
    told = [f"{shortened(name)}: {count} completed trials" for name, count in zip(found.names, counts, strict=True)]
    figure_title_block(figure, f"Two sweeps: {title(found.metric)}", " · ".join(told), theme)
    return figure


def _finish(axes: Axes, metric: str, below: str, what: str, theme: Theme) -> None:
    axes.set_title(what, loc="left", fontsize=TEXT_SIZE, color=theme.foreground)
    axes.set_xlabel(below)
    axes.yaxis.set_major_formatter(lambda value, _: written(metric, value))
    axes.legend(loc="best", fontsize=SMALL_SIZE, frameon=False, labelcolor=theme.foreground)
