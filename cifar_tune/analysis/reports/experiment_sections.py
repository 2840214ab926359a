"""Sections that answer what some experiments ask: repeated configurations, grids of three axes, schedules, stems."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cifar_tune.analysis.ablation import UNSET
from cifar_tune.analysis.configurations import configurations
from cifar_tune.analysis.feature_maps import COLUMNS as STEM_COLUMNS
from cifar_tune.analysis.feature_maps import stems
from cifar_tune.analysis.gap import GAP, gap_figure, generalization
from cifar_tune.analysis.heatmaps.heatmap_grid import MOST_PANELS, heatmap_grid, heatmap_grid_figure
from cifar_tune.analysis.lr_figure import lr_figure, schedule_trials
from cifar_tune.analysis.naming import short_number, title
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.reports.text_table import text_table
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.section import Section
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX


def experiment_sections(
    trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, sweep: SweepFile
) -> tuple[Section | None, ...]:
    """What this file has; None where the sweep does not give rise to it."""
    return (
        grid_section(trials, metric, sweep),
        configurations_section(trials, sweep),
        stem_section(trials),
        lr_section(trials, epochs, metric, sweep),
    )


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
        text_table(table),
        name=GAP if known else "",
        draw=(lambda theme: gap_figure(generalization(trials, sweep), theme)) if known else None,
        alternative="Generalization gap of every completed trial against its validation accuracy",
    )


def grid_section(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    """Heat maps by the first three axes of the grid, the one of fewest values over them; None where there are fewer."""
    completed = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    varied = varied_parameters(completed, sweep)
    axes = {path: _axis(path, completed, varied) for path in sweep.grid}
    found = {path: axis for path, axis in axes.items() if axis.nunique() > 1}
    paths = sorted(list(found)[:3], key=lambda path: -found[path].nunique())
    if len(paths) < 3 or found[paths[2]].nunique() > MOST_PANELS:
        return None
    x, y, over = paths
    shown = completed.assign(**{path: found[path] for path in paths})
    return Section(
        "Heat maps by three parameters",
        name=f"grid_{metric}",
        draw=lambda theme: heatmap_grid_figure(heatmap_grid(shown, x, y, over, metric), theme),
        alternative=f"{title(metric)} by {' and '.join(paths)}",
    )


def _axis(path: str, completed: pd.DataFrame, varied: list[str]) -> pd.Series[Any]:
    """What the trials have at a path of the grid: its values, or of a block those that vary, in words."""
    column = CONFIGURATION_PREFIX + path
    within = [name for name in varied if name == column or name.startswith(f"{column}.")]
    if within == [column]:
        return completed[column]
    values = completed[within].astype(object)
    distinct = values.drop_duplicates()
    told = next((name for name in within if distinct[name].is_unique), None)
    return values.apply(lambda row: _words(row if told is None else row[[told]]), axis=1).astype(object)


def _words(values: pd.Series[Any]) -> str:
    """`norm=0.1`, or the name alone of a component that its name tells apart."""
    known = {str(name).rsplit(".", 1)[-1]: value for name, value in values.items() if not pd.isna(value)}
    if [*known] == ["name"]:
        return str(known["name"])
    return ", ".join(f"{name}={short_number(value)}" for name, value in known.items()) or UNSET


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
    return Section("Feature maps", text, text_table(table)) if len(table) else None
