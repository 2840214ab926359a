"""An ablation as a figure and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.plotting.hover import name_points
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import LIGHT, Theme, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_CHANGE = 38
"""Characters beside the plot."""


def ablation_figure(table: pd.DataFrame, metric: str = "validation_accuracy", theme: Theme = LIGHT) -> Figure:
    """Each configuration's difference to the baseline with its 95 % interval; hollow where there is none.

    table: of `ablation`.
    """
    baseline, changed = table.iloc[0], table.iloc[1:].iloc[::-1]
    figure, (axes,) = new_panels(1, 1, 7.2, 1.0 + 0.34 * max(1, len(changed)), theme)
    rows = range(len(changed))
    known = changed["low"].notna().to_numpy()
    axes.axvline(0, color=theme.muted, linewidth=1)
    axes.hlines(
        [row for row in rows if known[row]], changed["low"][known], changed["high"][known],
        colors=theme.series[0], linewidth=2, alpha=0.55,
    )  # fmt: skip
    faces = [theme.series[0] if one else theme.background for one in known]
    axes.scatter(changed["difference"], rows, s=34, c=faces, edgecolors=theme.series[0], linewidths=1.5, zorder=3)
    name_points(axes, changed["difference"], list(rows), changed["trial_id"].astype(str).tolist())
    axes.set_yticks(list(rows), [shortened(text, LONGEST_CHANGE) for text in changed["change"]])
    axes.set_ylim(-0.6, max(0.6, len(changed) - 0.4))
    axes.xaxis.set_major_formatter(lambda value, _: gained(metric, value))
    axes.set_xlabel("difference to the baseline")
    told = [f"baseline: {written(metric, baseline['value'])} (n = {baseline['n']})"]
    told += ["bars: 95 % interval"] if known.any() else []
    told += ["hollow: one seed, so no interval"] if not known.all() else []
    figure_title_block(figure, f"Changes of the baseline: {title(metric)}", " · ".join(told), theme)
    return figure


def ablation_words(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The table of `ablation` for people."""
    differences = [gained(metric, value) for value in table["difference"]]
    intervals = [
        "" if pd.isna(low) else f"{gained(metric, low)} to {gained(metric, high)}"
        for low, high in zip(table["low"], table["high"], strict=True)
    ]
    return pd.DataFrame(
        {
            "trial_id": table["trial_id"],
            "change": table["change"],
            "seeds": table["n"].astype(str),
            title(metric).split(" (")[0]: [written(metric, value) for value in table["value"]],
            "difference": ["", *differences[1:]],
            "95 % interval": intervals,
        }
    )


def gained(metric: str, value: float) -> str:
    """A difference with its sign, in the metric's unit."""
    text = written(metric, abs(value))
    return f"{'−' if value < 0 else '+'}{text}" if float(text.replace(",", "")) else text
