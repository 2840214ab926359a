"""What a sweep came to, in the terminal: how many trials of which kind, the best of them, and the first heat map."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from cifar_tune.analysis.audit import stopping_audit
from cifar_tune.analysis.audit_text import audit_sentences
from cifar_tune.analysis.comparison import compare, comparison_words
from cifar_tune.analysis.confirmation_text import confirmation_answer, confirmation_findings
from cifar_tune.analysis.few_images import few_images_text
from cifar_tune.analysis.heatmaps.heatmap import Aggregate, Heatmap, heatmap
from cifar_tune.analysis.heatmaps.heatmap_text import heatmap_text
from cifar_tune.analysis.naming import title
from cifar_tune.analysis.parameters import default_axes
from cifar_tune.analysis.pareto import completed, pareto
from cifar_tune.analysis.pareto_text import pareto_caption
from cifar_tune.analysis.ranking import failures, furthest, ranking, status_counts
from cifar_tune.analysis.refusals import refusals, refusals_text
from cifar_tune.analysis.repeats import seed_noise_text
from cifar_tune.analysis.reports.text_table import configuration_text, counts_text, terminal_table
from cifar_tune.analysis.status_line import status_line, sweep_name
from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.results import DamagedTableWarning, Frames, load
from cifar_tune.results.columns import CONFIGURATION_PREFIX, STOPPED

REASONS_SHOWN = 3
"""Different messages of failed and diverged trials, the most frequent."""


@dataclass(frozen=True)
class Choice:
    """What a report is asked for; None: what suits the sweep."""

    x: str | None = None
    y: str | None = None
    metric: str | None = None
    aggregate: Aggregate = "best"
    at_epoch: int | None = None
    top: int = 10


def load_told(folder: Path, console: Console) -> Frames:
    """The tables of a results folder; what is wrong with them, and what was saved, is printed.

    Raises:
        ResultsError: it is not a results folder, or is beyond saving.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DamagedTableWarning)
        frames = load(folder)
    for warning in told:
        console.print(Text(str(warning.message), "yellow"), soft_wrap=True)
    return frames


def chosen_heatmap(trials: pd.DataFrame, epochs: pd.DataFrame, sweep: SweepFile, choice: Choice) -> Heatmap | None:
    """The heat map that was asked for, or that suits the sweep; None where no parameter differs between trials.

    Raises:
        AnalysisError: no such parameter, metric or epoch.
    """
    x, y = default_axes(trials, sweep)
    if choice.x or choice.y:
        x, y = (choice.x, choice.y) if choice.x else (choice.y, None)
    if x is None:
        return None
    metric = choice.metric or sweep.metric
    return heatmap(trials, x, y, metric, epochs=epochs, aggregate=choice.aggregate, at_epoch=choice.at_epoch)


def print_overview(
    console: Console,
    folder: Path,
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    confirmations: pd.DataFrame,
    choice: Choice | None = None,
) -> Heatmap | None:
    """Prints how the sweep stands, its best trials and a heat map; returns the heat map.

    Raises:
        AnalysisError: the choice names what the tables do not have.
    """
    choice = choice or Choice()
    sweep = read_sweep_file(folder)
    metric = choice.metric or sweep.metric
    drawn = chosen_heatmap(trials, epochs, sweep, choice)
    counts = status_counts(trials)
    _say(console, (sweep_name(folder, trials), "bold"), f": {counts_text(counts)}")
    for told in (status_line(folder, trials), refusals_text(refusals(folder, sweep))):
        if told:
            _say(console, told)
    _print_reasons(console, trials)
    print_confirmations(console, confirmations, trials, sweep, metric)
    console.print()
    if sweep.objectives and choice.metric is None and len(completed(trials, sweep.objectives)):
        _print_front(console, trials, choice.top, sweep)
    else:
        _print_best(console, trials, metric, choice.top, sweep)
    if not sweep.objectives:
        _print_audit(console, trials, epochs, sweep)
    if drawn is not None:
        console.print()
        console.print(heatmap_text(drawn, console.width))
    return drawn


def print_comparison(console: Console, frames: Frames, other: Frames, metric: str) -> None:
    """Prints the sweep beside another: the best at equal epochs and equal cost, the values, what was varied.

    Raises:
        AnalysisError: one of them has no such metric.
    """
    found = compare(frames, other, metric)
    console.print()
    _say(console, (" beside ".join(found.names), "bold"), f": {title(metric)}")
    console.print(terminal_table(comparison_words(found), found.names))
    bests = [f"best {name}" for name in found.names]
    console.print(terminal_table(found.parameters, [*found.names, *bests]))


def print_confirmations(
    console: Console, confirmations: pd.DataFrame, trials: pd.DataFrame, sweep: SweepFile, metric: str
) -> None:
    """Prints what was confirmed, if anything was: the answer, the tables, and which configuration is which."""
    if told := confirmation_answer(confirmations, trials, sweep, metric):
        console.print()
        _say(console, told)
    for finding in confirmation_findings(confirmations, trials, sweep, metric):
        parameters = [column for column in finding.table.columns if column.startswith(CONFIGURATION_PREFIX)]
        costs = [column for column in map(title, sweep.objectives) if column in finding.table.columns]
        console.print()
        _say(console, (finding.title, "bold"))
        console.print(terminal_table(finding.table.drop(columns=[*parameters, *costs])))
        for _, row in finding.table.iterrows() if parameters else ():
            told = "".join(f"; {name} {row[name]}" for name in costs)
            _say(console, f"{row['trial_id']}: {configuration_text(row)}{told}")
        for line in finding.text:
            _say(console, (line, "dim"))


def _print_reasons(console: Console, trials: pd.DataFrame) -> None:
    for row in failures(trials).head(REASONS_SHOWN).itertuples():
        where = f"{row.trials} {row.status}" + (f", {row.trial_id} first" if row.trials != 1 else f", {row.trial_id}")
        _say(console, (where, "yellow"), f": {row.message}")


def _print_audit(console: Console, trials: pd.DataFrame, epochs: pd.DataFrame, sweep: SweepFile) -> None:
    found = stopping_audit(trials, epochs, sweep.metric)
    for place, sentence in enumerate(audit_sentences(found) if found else ()):
        _say(console, (sentence, "yellow" if place else "dim"))


def _print_front(console: Console, trials: pd.DataFrame, top: int, sweep: SweepFile) -> None:
    front = pareto(trials, sweep.objectives, sweep=sweep)
    _say(console, ("Pareto front", "bold"), f": {len(front)} trials")
    console.print(terminal_table(front.head(top)))
    left = [f"{len(front) - top} more of the front: --top {len(front)} shows all."] if len(front) > top else []
    for line in (*left, pareto_caption(trials, sweep.objectives)):
        _say(console, (line, "dim"))


def _print_best(console: Console, trials: pd.DataFrame, metric: str, top: int, sweep: SweepFile) -> None:
    ranked = ranking(trials, metric, sweep=sweep)
    best = ranked.head(top)
    stopped = int((trials["status"] == STOPPED).sum())
    if len(best):
        _say(console, ("Best completed trials", "bold"))
        console.print(terminal_table(best))
        if stopped:
            text = (
                "1 trial was stopped early. It is not ranked, because it trained for fewer epochs."
                if stopped == 1
                else f"{stopped} trials were stopped early. They are not ranked, because they trained for fewer epochs."
            )
            _say(console, (text, "dim"))
        noise = seed_noise_text(trials, metric)
        for line in (*few_images_text(trials, ranked, metric), *([noise] if noise else [])):
            _say(console, (line, "dim"))
        return
    far = furthest(trials, metric, top=top, sweep=sweep)
    if len(far):
        _say(console, ("No trial has completed.", "bold"), " Those that got furthest, without rank:")
        console.print(terminal_table(far))
    elif len(trials):
        _say(console, "No trial has finished an epoch.")


def _say(console: Console, *parts: str | tuple[str, str]) -> None:
    """Prints a line as it is, whatever names it holds. parts: text, or text and its style."""
    console.print(Text.assemble(*parts))
