"""The learning rate beside what it gives, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cifar_tune.analysis.curves import learning_curves
from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.ranking import ranking
from cifar_tune.analysis.reports.text_table import configuration_text
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import LIGHT, SMALL_SIZE, Theme, shortened
from cifar_tune.results.columns import CONFIGURATION_PREFIX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEDULE, RATE = f"{CONFIGURATION_PREFIX}schedule.", f"{CONFIGURATION_PREFIX}optimizer.lr"
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (4, 2)))
"""Where there are more lines than colours, the colours come again, dashed."""
PANEL_WIDTH, PANEL_HEIGHT = 4.2, 3.3
"""Inches."""
LONGEST_LABEL = 40


def schedule_trials(trials: pd.DataFrame, metric: str, sweep: SweepFile | None = None) -> dict[str, str]:
    """The first seed of the best configuration of every schedule, by what it is called, the best first.

    Where one schedule is used throughout, of every learning rate of the grid. Empty where neither is compared.
    """
    varied = [name for name in varied_parameters(trials, sweep) if name.startswith(SCHEDULE)]
    if SCHEDULE + "name" not in varied and not any(
        path.startswith("schedule") for path in (sweep.grid if sweep else ())
    ):
        varied = []
    if not varied and sweep is not None and RATE.removeprefix(CONFIGURATION_PREFIX) in sweep.grid:
        varied = [RATE]
    ranked = ranking(trials, metric, sweep=sweep)
    if not varied or ranked.empty:
        return {}
    named = [SCHEDULE + "name"]
    best = ranked.drop_duplicates(varied)
    words = named if named[0] in varied and best[named[0]].is_unique else varied
    return {configuration_text(row[words]): str(row["trial_id"]) for _, row in best.iterrows()}


def lr_figure(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    metric: str = "validation_accuracy",
    *,
    sweep: SweepFile | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Learning rate (logarithmic) and metric by epoch, side by side: a line for each of `schedule_trials`.

    Raises:
        AnalysisError: no such metric.
    """
    from matplotlib.ticker import MaxNLocator

    chosen = schedule_trials(trials, metric, sweep)
    most = len(DASHES) * len(theme.series)
    figure, (left, right) = new_panels(2, 2, PANEL_WIDTH, PANEL_HEIGHT, theme)
    for axes, name in ((left, "lr"), (right, metric)):
        curves = learning_curves(trials, epochs, name)
        for place, (label, trial_id) in enumerate(list(chosen.items())[:most]):
            curve = curves[curves["trial_id"] == trial_id]
            colour = theme.series[place % len(theme.series)]
            axes.plot(
                curve["epoch"], curve["value"], color=colour, linestyle=DASHES[place // len(theme.series)],
                linewidth=1.8, label=shortened(label, LONGEST_LABEL),
            )  # fmt: skip
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_yscale("log")
    left.set_ylabel("learning rate")
    right.set_ylabel(title(metric))
    right.yaxis.set_major_formatter(lambda value, _: written(metric, value))
    handles, labels = right.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, fontsize=SMALL_SIZE, frameon=False,
        labelcolor=theme.foreground,
    )  # fmt: skip
    left_out = f" · {len(chosen) - most} more not shown" if len(chosen) > most else ""
    told = f"best trial with each, of {len(trials)} trials · learning rate of an epoch's last step{left_out}"
    figure_title_block(figure, f"Learning rate and {title(metric)}", told, theme)
    return figure
