"""Sections that answer what some experiments ask: repeated configurations, grids of three axes, schedules, stems."""

from __future__ import annotations

import pandas as pd

from cifar_tune.analysis.configurations import configurations
from cifar_tune.analysis.feature_maps import COLUMNS as STEM_COLUMNS
from cifar_tune.analysis.feature_maps import stems
from cifar_tune.analysis.gap import GAP, gap_figure, generalization
from cifar_tune.analysis.heatmap_grid import MOST_PANELS, heatmap_grid, heatmap_grid_figure
from cifar_tune.analysis.lr_figure import lr_figure, schedule_trials
from cifar_tune.analysis.naming import title
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.section import Section
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX


def configurations_section(trials: pd.DataFrame, sweep: SweepFile) -> Section | None:
    """Means over seeds with their intervals, and the generalization gap; None where nothing ran twice."""
    table = configurations(trials, sweep)
    if not (table["n"] > 1).any():
        return None
    text = (
        "Means over seeds, with the 95 % interval of the mean (Student's t). Gap: accuracy on the training images, as"
        " they were augmented, minus accuracy on the validation images, in points.",
    )
    known = trials[GAP].notna().any()
    return Section(
        "Configurations by seeds, and their generalization gap",
        text,
        table,
        name=GAP if known else "",
        draw=(lambda theme: gap_figure(generalization(trials, sweep), theme)) if known else None,
        alternative="Generalization gap of every completed trial against its validation accuracy",
    )


def grid_section(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    """Heat maps by the first three axes of the grid, the one of fewest values over them; None where there are fewer."""
    completed = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    varied = varied_parameters(completed, sweep)
    axes = [_first_of(path, varied) for path in sweep.grid]
    found = sorted((axis for axis in axes if axis), key=lambda axis: -completed[axis].nunique(dropna=False))[:3]
    if len(found) < 3 or completed[found[2]].nunique(dropna=False) > MOST_PANELS:
        return None
    x, y, over = found
    names = " and ".join(axis.removeprefix(CONFIGURATION_PREFIX) for axis in found)
    return Section(
        "Heat maps by three parameters",
        name=f"grid_{metric}",
        draw=lambda theme: heatmap_grid_figure(heatmap_grid(trials, x, y, over, metric), theme),
        alternative=f"{title(metric)} by {names}",
    )


def _first_of(path: str, varied: list[str]) -> str | None:
    """The column of a path of the grid, or the first within it, among those that vary."""
    column = CONFIGURATION_PREFIX + path
    return next((name for name in varied if name == column or name.startswith(f"{column}.")), None)


def lr_section(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    """The learning rate beside the metric; None where it is the same in all trials, or is searched."""
    if epochs["lr"].isna().all() or not schedule_trials(trials, metric, sweep):
        return None
    return Section(
        "Learning rate",
        name=f"lr_{metric}",
        draw=lambda theme: lr_figure(trials, epochs, metric, sweep=sweep, theme=theme),
        alternative=f"Learning rate and {title(metric)} by epoch, for each schedule",
    )


def stem_section(trials: pd.DataFrame) -> Section | None:
    """Feature-map sizes of each stem; None where the stem is the same in all trials."""
    if not {*STEM_COLUMNS} & {*varied_parameters(trials)}:
        return None
    text = ("Height and width of the maps after each of the four stages, and the mean accuracy of n trials.",)
    table = stems(trials)
    return Section("Feature maps", text, table) if len(table) else None
