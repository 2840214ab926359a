"""How a sweep stands: running, unfinished, empty or done; and what it has found, in a sentence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.ranking import ranking, status_counts
from cifar_tune.analysis.reports.text_table import configuration_text
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import COMPLETED, INTERRUPTED, RUNNING
from cifar_tune.results.lock import read_driver


def sweep_name(folder: Path, trials: pd.DataFrame) -> str:
    """The sweep's own name; the folder's while it has no trial."""
    return str(trials["sweep"].iloc[0]) if len(trials) else folder.resolve().name


def standing(folder: Path, counts: dict[str, int]) -> str | None:
    """Whether the sweep is under way, unfinished or empty; None when it is done."""
    driver = read_driver(folder)
    unfinished = counts.get(RUNNING, 0) + counts.get(INTERRUPTED, 0)
    if driver is not None and driver.alive:
        running = _trials(counts.get(RUNNING, 0), "is", "are")
        return f"The sweep is running (process {driver.pid} on {driver.node}); {running} being trained now."
    if unfinished:
        return (
            f"The sweep is not running and {_trials(unfinished, 'is', 'are')} unfinished: `sweep ... --resume` goes on."
        )
    return None if counts else "No trial has been started yet."


def answer(trials: pd.DataFrame, metric: str, sweep: SweepFile) -> str:
    """The best completed trial in a sentence, and what the sentence is worth.

    Raises:
        AnalysisError: no such metric.
    """
    best = ranking(trials, metric, sweep=sweep)
    counts = status_counts(trials)
    if best.empty:
        return "No trial has completed yet." if counts else "No trial has been started yet."
    first = best.iloc[0]
    setting = configuration_text(first)
    reached = f"{title(metric).split(' (')[0]} {written(metric, float(first[metric]))}{_unit(metric)}"
    told = f"The best completed trial, {first['trial_id']}, reached {reached} after {first['epochs_trained']} epochs"
    told += f" with {setting}." if setting else "."
    if counts[COMPLETED] > 1:
        told += (
            f" It is the best of {counts[COMPLETED]} completed trials on the validation split that chose it, so its"
            " value is optimistic."
        )
    return told


def _unit(metric: str) -> str:
    return " %" if title(metric).endswith("(%)") else ""


def _trials(count: int, one: str, several: str) -> str:
    return f"1 trial {one}" if count == 1 else f"{count} trials {several}"
