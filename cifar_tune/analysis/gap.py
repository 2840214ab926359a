"""The generalization gap: how much better a net does on the images that it learnt than on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.theme import LIGHT, Theme, new_figure, title_block
from cifar_tune.results.columns import COMPLETED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCURACY, GAP = "validation_accuracy", "generalization_gap"


def generalization(trials: pd.DataFrame, sweep: SweepFile | None = None) -> pd.DataFrame:
    """The completed trials, best first: accuracy on validation and training images, the gap, and what varies.

    Training accuracy is that of the batches as they were trained on: strong augmentation makes the gap negative.
    """
    completed = trials[(trials["status"] == COMPLETED) & trials[GAP].notna()]
    ordered = completed.sort_values([ACCURACY, "trial_id"], ascending=[False, True])
    return ordered[["trial_id", ACCURACY, "train_accuracy", GAP, *varied_parameters(trials, sweep)]].reset_index(
        drop=True
    )


def gap_figure(table: pd.DataFrame, theme: Theme = LIGHT) -> Figure:
    """The gap of each trial against its validation accuracy, the best trial marked. table: of `generalization`."""
    figure, axes = new_figure(7.2, 3.6, theme)
    axes.axhline(0, color=theme.muted, linewidth=1, linestyle=(0, (2, 3)))
    axes.scatter(table[ACCURACY], table[GAP], s=24, color=theme.series[0], alpha=0.7, linewidths=0)
    best = table.head(1)
    axes.scatter(best[ACCURACY], best[GAP], s=70, facecolors="none", edgecolors=theme.foreground, linewidths=1.4)
    axes.xaxis.set_major_formatter(lambda value, _: written(ACCURACY, value))
    axes.yaxis.set_major_formatter(lambda value, _: written(GAP, value))
    axes.set_xlabel(title(ACCURACY))
    told = f"{len(table)} completed trials · ring: the most accurate · training images as they were augmented"
    title_block(axes, "Generalization gap (points), training minus validation", told, theme)
    return figure
