"""A report, section by section, for a page or a README: what each says, its table and its figure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from cifar_tune.analysis.audit import stopping_audit
from cifar_tune.analysis.audit_text import TITLE, audit_sentences, audit_table
from cifar_tune.analysis.confirmation_text import confirmation_answer, confirmation_findings
from cifar_tune.analysis.cost import cost, cost_of_accuracy, point_text
from cifar_tune.analysis.curves import curves_figure
from cifar_tune.analysis.experiment_sections import configurations_section, grid_section, lr_section, stem_section
from cifar_tune.analysis.heatmap import Heatmap, heatmap
from cifar_tune.analysis.heatmap_figure import heatmap_figure
from cifar_tune.analysis.history import history, history_figure
from cifar_tune.analysis.importance import importance, importance_figure
from cifar_tune.analysis.naming import title
from cifar_tune.analysis.overview import Choice, chosen_heatmap
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.pareto import MOST_OBJECTIVES, completed, hypervolume_history, pareto
from cifar_tune.analysis.pareto_figure import hypervolume_figure, pareto_figure
from cifar_tune.analysis.pareto_text import hypervolume_caption, pareto_answer, pareto_caption
from cifar_tune.analysis.ranking import failures, furthest, ranking, status_counts
from cifar_tune.analysis.refusals import refusals, refusals_text
from cifar_tune.analysis.repeats import seed_noise_text
from cifar_tune.analysis.rungs import rung_survival
from cifar_tune.analysis.section import Report, Section
from cifar_tune.analysis.slices import slice_figure
from cifar_tune.analysis.standing import answer, standing, sweep_name
from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.analysis.text_table import counts_text
from cifar_tune.results.columns import COMPLETED

ENVIRONMENT_NAME = "environment.json"
LEAST_COUNTED = 0.5
"""Where the heat map at the full budget shows fewer of the trials, a second one shows them at an early epoch."""
LEAST_SLICED = 5
"""Completed trials, below which plots of single points are of no use."""


def make_report(
    folder: Path,
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    confirmations: pd.DataFrame,
    choice: Choice | None = None,
) -> Report:
    """The report of a sweep in any state; sections without data are left out.

    Raises:
        AnalysisError: the choice names what the tables do not have.
    """
    choice = choice or Choice()
    sweep = read_sweep_file(folder)
    metric = choice.metric or sweep.metric
    counts = status_counts(trials)
    several = bool(sweep.objectives) and choice.metric is None and len(completed(trials, sweep.objectives)) > 0
    found = pareto_answer(trials, sweep) if several else None
    parts = (
        *_confirmed(confirmations, trials, metric, sweep),
        _front(trials, sweep) if several else _best(trials, metric, sweep, choice.top),
        *_heat_maps(trials, epochs, sweep, choice),
        grid_section(trials, metric, sweep),
        configurations_section(trials, sweep),
        stem_section(trials),
        _curves(trials, epochs, metric),
        lr_section(trials, epochs, metric, sweep),
        None if sweep.objectives else _audit(trials, epochs, sweep),
        _importance(trials, epochs, metric, sweep),
        _slices(trials, metric, sweep),
        _hypervolume(trials, sweep) if several else _history(trials, metric),
        _failures(trials),
        _refused(folder, sweep),
        _cost(trials, confirmations),
        _made(folder),
    )
    return Report(
        name=sweep_name(folder, trials),
        question=_question(sweep),
        answer=confirmation_answer(confirmations, trials, sweep, metric) or found or answer(trials, metric, sweep),
        counts=counts_text(counts),
        standing=standing(folder, counts),
        sections=tuple(part for part in parts if part is not None),
    )


def _question(sweep: SweepFile) -> tuple[str, ...]:
    """The sweep file's header up to its first empty line; a line that begins with no `Word:` goes on with the last."""
    lines = [*sweep.header, ""]
    text = " ".join(lines[: lines.index("")])
    return tuple(line for line in re.split(r" (?=[A-Z]\w+: )", text) if line)


def _confirmed(confirmations: pd.DataFrame, trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Iterator[Section]:
    for finding in confirmation_findings(confirmations, trials, sweep, metric):
        yield Section(finding.title, finding.text, finding.table)


def _best(trials: pd.DataFrame, metric: str, sweep: SweepFile, top: int) -> Section | None:
    best = ranking(trials, metric, top=top, sweep=sweep)
    if len(best):
        why = "Only completed trials rank; the values of those that were stopped are of earlier epochs."
        noise = seed_noise_text(trials, metric)
        return Section("Best trials", (why, noise) if noise else (why,), best)
    far = furthest(trials, metric, top=top, sweep=sweep)
    return (
        Section("Trials that got furthest", ("No trial has completed: there is no rank.",), far) if len(far) else None
    )


def _front(trials: pd.DataFrame, sweep: SweepFile) -> Section:
    return Section(
        "Pareto front",
        (pareto_caption(trials, sweep.objectives),),
        pareto(trials, sweep.objectives, sweep=sweep),
        name="pareto",
        draw=lambda theme: pareto_figure(trials, sweep.objectives, theme),
        alternative=f"Pareto front of {', '.join(map(title, sweep.objectives))}",
    )


def _hypervolume(trials: pd.DataFrame, sweep: SweepFile) -> Section | None:
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


def _heat_maps(trials: pd.DataFrame, epochs: pd.DataFrame, sweep: SweepFile, choice: Choice) -> Iterator[Section]:
    first = chosen_heatmap(trials, epochs, sweep, choice) if len(trials) else None
    if first is None:
        return
    yield _heat_map("Heat map", first)
    early = _early_epoch(epochs)
    if choice.at_epoch is None and first.epoch and early and early < first.epoch and _counted(first) < LEAST_COUNTED:
        y = first.y.parameter or None
        second = heatmap(
            trials, first.x.parameter, y, first.metric, epochs=epochs, aggregate=first.aggregate, at_epoch=early
        )
        yield _heat_map(f"The same at epoch {early}, where the scheduler first decided", second)


def _heat_map(name: str, drawn: Heatmap) -> Section:
    across = f"{drawn.title} by {drawn.x.name}" + (f" and {drawn.y.name}" if drawn.y.parameter else "")
    file = f"heatmap_{drawn.name}" + (f"-epoch_{drawn.epoch}" if drawn.epoch else "")
    return Section(name, name=file, draw=lambda theme: heatmap_figure(drawn, theme), alternative=across)


def _counted(drawn: Heatmap) -> float:
    return float(drawn.n.to_numpy().sum() / drawn.trials.to_numpy().sum())


def _early_epoch(epochs: pd.DataFrame) -> int | None:
    rungs = epochs["rung"].dropna()
    return int(rungs.min()) if len(rungs) else None


def _curves(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str) -> Section | None:
    if metric not in epochs.columns or epochs[metric].notna().sum() == 0:
        return None
    survival = rung_survival(epochs)
    return Section(
        "Learning curves",
        ("The table counts the trials at each rung.",) if len(survival) else (),
        survival if len(survival) else None,
        name=f"curves_{metric}",
        draw=lambda theme: curves_figure(trials, epochs, metric, theme),
        alternative=f"{title(metric)} of every trial by epoch",
    )


def _audit(trials: pd.DataFrame, epochs: pd.DataFrame, sweep: SweepFile) -> Section | None:
    found = stopping_audit(trials, epochs, sweep.metric)
    if found is None:
        return None
    return Section(TITLE, audit_sentences(found), audit_table(found) if found.rungs[0].known else None)


def _importance(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    if not len(trials):
        return None
    found = importance(trials, epochs, metric, sweep=sweep)
    text = (f"{found.caution.capitalize()}.",) if found.caution else ()
    if found.table.empty:
        return Section("Importance of the parameters", text) if text else None
    return Section(
        "Importance of the parameters",
        text,
        name=f"importance_{metric}",
        draw=lambda theme: importance_figure(found, theme),
        alternative="Importance of each parameter with its uncertainty",
    )


def _slices(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Section | None:
    completed_trials = trials[(trials["status"] == COMPLETED) & trials[metric].notna()]
    if len(completed_trials) < LEAST_SLICED or len(varied_parameters(completed_trials, sweep)) < 2:
        return None
    return Section(
        "One parameter at a time",
        name=f"slices_{metric}",
        draw=lambda theme: slice_figure(trials, metric, sweep=sweep, theme=theme),
        alternative=f"{title(metric)} of every completed trial by each parameter",
    )


def _history(trials: pd.DataFrame, metric: str) -> Section | None:
    table = history(trials, metric)
    if len(table) < 2:
        return None
    return Section(
        "Course of the search",
        name=f"history_{metric}",
        draw=lambda theme: history_figure(table, metric, theme),
        alternative=f"best {title(metric)} so far, against time",
    )


def _failures(trials: pd.DataFrame) -> Section | None:
    table = failures(trials)
    return Section("Failed and diverged trials", table=table) if len(table) else None


def _refused(folder: Path, sweep: SweepFile) -> Section | None:
    table = refusals(folder, sweep)
    text = refusals_text(table)
    return Section("Refused proposals", (text,), table) if text else None


def _cost(trials: pd.DataFrame, confirmations: pd.DataFrame) -> Section | None:
    table = cost(trials)
    text = "Seconds of training and validation, by how the trials ended and where they ran."
    point = point_text(cost_of_accuracy(trials, confirmations))
    return Section("Cost", (text, point) if point else (text,), table) if len(table) else None


def _made(folder: Path) -> Section | None:
    """How the sweep was made, from environment.json."""
    try:
        content = json.loads((folder / ENVIRONMENT_NAME).read_text(encoding="utf-8"))
        rows = [(key.replace("_", " "), _plain(value)) for key, value in content.items() if value]
    except (OSError, ValueError, AttributeError):
        return None
    return Section("How it was made", table=pd.DataFrame(rows, columns=["parameter", "value"]))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return ", ".join(_plain(item) for item in value) if isinstance(value, list) else str(value)
