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
from cifar_tune.analysis.cost import cost, cost_of_accuracy, cost_words, point_text
from cifar_tune.analysis.few_images import few_images_text
from cifar_tune.analysis.pareto import completed
from cifar_tune.analysis.pareto_text import pareto_answer
from cifar_tune.analysis.ranking import failures, furthest, ranking, status_counts
from cifar_tune.analysis.refusals import refusals, refusals_text
from cifar_tune.analysis.repeats import seed_noise_text
from cifar_tune.analysis.reports.descriptions import descriptions
from cifar_tune.analysis.reports.drawn_sections import (
    comparison_section,
    curves_section,
    front_section,
    heat_map_sections,
    history_section,
    hypervolume_section,
    importance_section,
    parameter_sections,
)
from cifar_tune.analysis.reports.experiment_sections import experiment_sections
from cifar_tune.analysis.reports.overview import Choice
from cifar_tune.analysis.reports.report import Report
from cifar_tune.analysis.reports.text_table import counts_text, text_table
from cifar_tune.analysis.status_line import answer, status_line, sweep_name
from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.layout import ENVIRONMENT_NAME
from cifar_tune.plotting.section import Section, Table
from cifar_tune.results import Frames


def make_report(
    folder: Path,
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    confirmations: pd.DataFrame,
    choice: Choice | None = None,
    other: Frames | None = None,
) -> Report:
    """The report of a sweep in any state; sections without data are left out.

    other: a sweep to compare it with.

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
        front_section(trials, sweep) if several else _best(trials, metric, sweep, choice.top),
        *heat_map_sections(trials, epochs, sweep, choice),
        *experiment_sections(trials, epochs, metric, sweep),
        curves_section(trials, epochs, metric),
        None if sweep.objectives else _audit(trials, epochs, sweep),
        importance_section(trials, epochs, metric, sweep),
        *parameter_sections(trials, metric, sweep),
        comparison_section(Frames(trials, epochs, confirmations), other, metric) if other else None,
        hypervolume_section(trials, sweep) if several else history_section(trials, metric),
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
        status_line=status_line(folder, trials),
        sections=tuple(part for part in parts if part is not None),
        describe=lambda names: descriptions(trials[trials["trial_id"].isin(names)], metric, sweep),
    )


def further_sections(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str, sweep: SweepFile) -> tuple[Section, ...]:
    """The findings of a report that the dashboard has no live view of."""
    parts = (*experiment_sections(trials, epochs, metric, sweep), *parameter_sections(trials, metric, sweep))
    return tuple(part for part in parts if part is not None)


def _question(sweep: SweepFile) -> tuple[str, ...]:
    """The sweep file's header up to its first empty line; a line that begins with no `Word:` goes on with the last."""
    lines = [*sweep.header, ""]
    text = " ".join(lines[: lines.index("")])
    return tuple(line for line in re.split(r" (?=[A-Z]\w+: )", text) if line)


def _confirmed(confirmations: pd.DataFrame, trials: pd.DataFrame, metric: str, sweep: SweepFile) -> Iterator[Section]:
    for finding in confirmation_findings(confirmations, trials, sweep, metric):
        yield Section(finding.title, finding.text, text_table(finding.table))


def _best(trials: pd.DataFrame, metric: str, sweep: SweepFile, top: int) -> Section | None:
    ranked = ranking(trials, metric, sweep=sweep)
    if len(ranked):
        why = "Only completed trials rank; the values of those that were stopped are of earlier epochs."
        noise = seed_noise_text(trials, metric)
        told = (why, *few_images_text(trials, ranked, metric), *([noise] if noise else []))
        return Section("Best trials", told, text_table(ranked.head(top)))
    far = furthest(trials, metric, top=top, sweep=sweep)
    if not len(far):
        return None
    return Section("Trials that got furthest", ("No trial has completed: there is no rank.",), text_table(far))


def _audit(trials: pd.DataFrame, epochs: pd.DataFrame, sweep: SweepFile) -> Section | None:
    found = stopping_audit(trials, epochs, sweep.metric)
    if found is None:
        return None
    return Section(TITLE, audit_sentences(found), text_table(audit_table(found)) if found.rungs[0].known else None)


def _failures(trials: pd.DataFrame) -> Section | None:
    table = failures(trials)
    return Section("Failed and diverged trials", table=text_table(table)) if len(table) else None


def _refused(folder: Path, sweep: SweepFile) -> Section | None:
    table = refusals(folder, sweep)
    text = refusals_text(table)
    return Section("Refused proposals", (text,), text_table(table)) if text else None


def _cost(trials: pd.DataFrame, confirmations: pd.DataFrame) -> Section | None:
    table = cost_words(cost(trials))
    text = "Seconds of training and validation, by how the trials ended and where they ran."
    if "duplicates" in table.columns:
        text += " Duplicates: trials of a configuration that had been trained before, with another seed."
    point = point_text(cost_of_accuracy(trials, confirmations))
    return Section("Cost", (text, point) if point else (text,), text_table(table)) if len(table) else None


def _made(folder: Path) -> Section | None:
    """How the sweep was made, from environment.json."""
    try:
        content = json.loads((folder / ENVIRONMENT_NAME).read_text(encoding="utf-8"))
        rows = [(key.replace("_", " "), _plain(value)) for key, value in content.items() if value]
    except (OSError, ValueError, AttributeError):
        return None
    return Section("How it was made", table=Table(("parameter", "value"), tuple(rows), left=(True, True)))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return ", ".join(_plain(item) for item in value) if isinstance(value, list) else str(value)
