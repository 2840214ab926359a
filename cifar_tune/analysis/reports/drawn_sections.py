"""The sections of a report that have a figure; None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from cifar_tune.analysis.ablation import ablation
from cifar_tune.analysis.ablation_figure import ablation_figure, ablation_words
from cifar_tune.analysis.comparison import compare, comparison_figure, comparison_words
from cifar_tune.analysis.curves import curves_figure
from cifar_tune.analysis.heatmaps.heatmap import Cell, Heatmap, heatmap, trials_of_cells
from cifar_tune.analysis.heatmaps.heatmap_figure import cell_note, ended_note, heatmap_figure
from cifar_tune.analysis.history import history, history_figure
from cifar_tune.analysis.importance import importance, importance_figure
from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.parallel import parallel_figure
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.pareto import MOST_OBJECTIVES, completed, hypervolume_history, pareto
from cifar_tune.analysis.pareto_figure import hypervolume_figure, pareto_figure
from cifar_tune.analysis.pareto_text import hypervolume_caption, pareto_caption
from cifar_tune.analysis.reports.overview import Choice, chosen_heatmap
from cifar_tune.analysis.reports.text_table import text_table
from cifar_tune.analysis.rungs import rung_survival
from cifar_tune.analysis.slices import slice_figure
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.hover import name_points
from cifar_tune.plotting.section import Section
from cifar_tune.plotting.theme import Theme
from cifar_tune.results import Frames
from cifar_tune.results.columns import COMPLETED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_COUNTED = 0.5
"""Where the heat map at the full budget shows fewer of the trials, a second one shows them at an early epoch."""
LEAST_SLICED = 5
"""Completed trials, below which plots of single points are of no use."""
LEAST_PARALLEL = 3
"""Parameters, below which parallel coordinates show no more than slices."""
MOST_NAMED = 8
"""Trials of a cell."""
LEAST_ABLATED, MOST_ABLATED = 2, 30
"""Configurations that differ from the baseline in one parameter."""


def front_section(trials: pd.DataFrame, sweep: SweepFile) -> Section:
    return Section(
        "Pareto front",
        (pareto_caption(trials, sweep.objectives),),
        text_table(pareto(trials, sweep.objectives, sweep=sweep)),
        name="pareto",
        draw=lambda theme: pareto_figure(trials, sweep.objectives, theme),
        alternative=f"Pareto front of {', '.join(map(title, sweep.objectives))}",
    )


def hypervolume_section(trials: pd.DataFrame, sweep: SweepFile) -> Section | None:
    objectives = sweep.objectives
    if len(completed(trials, objectives)) < 2 or len(objectives) > MOST_OBJECTIVES:
        return None
    table = hypervolume_history(trials, objectives)
    return Section(
        "Course of the search",
        (hypervolume_caption(trials, objectives),),
        name="hypervolume",
        draw=lambda theme: hypervolume_figure(table, objectives, theme),
        alternative="Share of the space of objectives that the front dominates, against time",
    )


def heat_map_sections(
    trials: pd.DataFrame, epochs: pd.DataFrame, sweep: SweepFile, choice: Choice
) -> Iterator[Section]:
    """The heat map asked for, and another at an early epoch where few trials got further."""
    first = chosen_heatmap(trials, epochs, sweep, choice) if len(trials) else None
    if first is None:
        return
    yield _heat_map("Heat map", first, trials)
    early = _early_epoch(epochs)
    if choice.at_epoch is None and first.epoch and early and early < first.epoch and _counted(first) < LEAST_COUNTED:
        y = first.y.parameter or None
        second = heatmap(
            trials, first.x.parameter, y, first.metric, epochs=epochs, aggregate=first.aggregate, at_epoch=early
        )
        yield _heat_map(f"The same at epoch {early}, where the scheduler first decided", second, trials)


def _heat_map(name: str, drawn: Heatmap, trials: pd.DataFrame) -> Section:
    across = f"{drawn.title} by {drawn.x.name}" + (f" and {drawn.y.name}" if drawn.y.parameter else "")
    file = f"heatmap_{drawn.name}" + (f"-epoch_{drawn.epoch}" if drawn.epoch else "")

    def draw(theme: Theme) -> Figure:
        figure = heatmap_figure(drawn, theme)
        cells = [cell for cell in drawn.cells() if cell.trials]
        inside = trials_of_cells(drawn, trials)
        told = [_cell_text(drawn, cell, inside[cell.row, cell.column]) for cell in cells]
        columns, rows = [cell.column for cell in cells], [cell.row for cell in cells]
        name_points(figure.axes[0], columns, rows, told, half=(0.5, 0.5))
        return figure

    return Section(name, name=file, draw=draw, alternative=across)


def _cell_text(drawn: Heatmap, cell: Cell, trial_ids: list[str]) -> str:
    where = [f"{axis.name} {axis.labels[place]}" for axis, place in ((drawn.y, cell.row), (drawn.x, cell.column))]
    what = ended_note(cell).replace("\n", " ")
    if cell.value is not None:
        what = f"{written(drawn.metric, cell.value)} {cell_note(drawn, cell)}"
    more = [f"and {len(trial_ids) - MOST_NAMED} more"] if len(trial_ids) > MOST_NAMED else []
    trials = ", ".join([*trial_ids[:MOST_NAMED], *more])
    return "\n".join([", ".join(where if drawn.y.parameter else where[1:]), what, trials])


def _counted(drawn: Heatmap) -> float:
    return float(drawn.n.to_numpy().sum() / drawn.trials.to_numpy().sum())


def _early_epoch(epochs: pd.DataFrame) -> int | None:
    rungs = epochs["rung"].dropna()
    return int(rungs.min()) if len(rungs) else None


def curves_section(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str) -> Section | None:
    if metric not in epochs.columns or epochs[metric].notna().sum() == 0:
        return None
    survival = rung_survival(trials, epochs)
    return Section(
        "Learning curves",
        ("The table counts the trials at each rung.",) if len(survival) else (),
        text_table(survival) if len(survival) else None,
        name=f"curves_{metric}",
        draw=lambda theme: curves_figure(trials, epochs, metric, theme),
        alternative=f"{title(metric)} of every trial by epoch",
    )


def importance_section(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    if not len(trials):
        return None
    found = importance(trials, epochs, metric, sweep=sweep)
    text = (f"{found.caution[0].upper()}{found.caution[1:]}.",) if found.caution else ()
    if found.table.empty:
        return Section("Importance of the parameters", text) if text else None
    return Section(
        "Importance of the parameters",
        text,
        name=f"importance_{metric}",
        draw=lambda theme: importance_figure(found, theme),
        alternative="Importance of each parameter with its uncertainty",
    )


def parameter_sections(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> tuple[Section | None, ...]:
    """What the parameters do, one by one and together; None where there are too few trials."""
    return (
        ablation_section(trials, metric),
        slices_section(trials, metric, sweep),
        parallel_section(trials, metric, sweep),
    )


def slices_section(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    completed_trials = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    if len(completed_trials) < LEAST_SLICED or len(varied_parameters(completed_trials, sweep)) < 2:
        return None
    return Section(
        "One parameter at a time",
        name=f"slices_{metric}",
        draw=lambda theme: slice_figure(trials, metric, sweep=sweep, theme=theme),
        alternative=f"{title(metric)} of every completed trial by each parameter",
    )


def parallel_section(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    completed_trials = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    if len(completed_trials) < LEAST_SLICED or len(varied_parameters(completed_trials, sweep)) < LEAST_PARALLEL:
        return None
    return Section(
        "All parameters at once",
        name=f"parallel_{metric}",
        draw=lambda theme: parallel_figure(trials, metric, sweep=sweep, theme=theme),
        alternative=f"A line for every completed trial through its parameters to its {title(metric)}",
    )


def history_section(trials: pd.DataFrame, metric: str) -> Section | None:
    table = history(trials, metric)
    if len(table) < 2:
        return None
    return Section(
        "Course of the search",
        name=f"history_{metric}",
        draw=lambda theme: history_figure(table, metric, theme),
        alternative=f"best {title(metric)} so far, against time",
    )


def ablation_section(trials: pd.DataFrame, metric: str) -> Section | None:
    """What single changes of the baseline did."""
    try:
        table = ablation(trials, metric, most_changes=1)
    except AnalysisError:
        return None
    if not LEAST_ABLATED <= len(table) - 1 <= MOST_ABLATED:
        return None
    return Section(
        "Changes of the baseline",
        ("Trials that differ from the baseline in one parameter; an interval needs two seeds of both.",),
        text_table(ablation_words(table, metric)),
        name=f"ablation_{metric}",
        draw=lambda theme: ablation_figure(table, metric, theme),
        alternative=f"Difference of {title(metric)} to the baseline, of each single change",
    )


def comparison_section(frames: Frames, other: Frames, metric: str) -> Section:
    """The sweep beside another."""
    found = compare(frames, other, metric)
    return Section(
        f"Compared with {found.names[1]}",
        ("The same epochs, or the same time of training, of both; only completed trials count in the latter.",),
        text_table(comparison_words(found), verbatim=found.names),
        name=f"comparison_{metric}",
        draw=lambda theme: comparison_figure(found, theme),
        alternative=f"Best {title(metric)} of both sweeps, by epoch and by time of training",
    )
