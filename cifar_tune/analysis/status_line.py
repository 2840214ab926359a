"""How a sweep stands: running, unfinished, empty or done; and what it has found, in a sentence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.ranking import WHOLE, ranking, status_counts
from cifar_tune.analysis.reports.text_table import configuration_text
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import COMPLETED, INTERRUPTED, RUNNING
from cifar_tune.results.lock import read_driver

MOST_NAMED = 8
"""Trials that are running or unfinished; more fill a terminal."""


def sweep_name(folder: Path, trials: pd.DataFrame) -> str:
    """The sweep's own name; the folder's while it has no trial."""
    return str(trials["sweep"].iloc[0]) if len(trials) else folder.resolve().name


def status_line(folder: Path, trials: pd.DataFrame) -> str | None:
    """Whether the sweep is under way, unfinished or empty, and which trials are; None when it is done."""
    driver = read_driver(folder)
    if driver is not None and driver.alive:
        running = trials[trials["status"] == RUNNING]
        now = f"{_trials(len(running), 'is', 'are')} being trained now{_named(running)}"
        return f"The sweep is running (process {driver.pid} on {driver.node}); {now}."
    unfinished = trials[trials["status"].isin([RUNNING, INTERRUPTED])]
    if len(unfinished):
        count = _trials(len(unfinished), "is", "are")
        return f"The sweep is not running and {count} unfinished{_named(unfinished)}. `sweep ... --resume` goes on."
    return None if len(trials) else "No trial has been started yet."


def _named(trials: pd.DataFrame) -> str:
    """`: t0007 (epoch 3 of 8), t0009 (epoch 1 of 8) and 2 more`."""
    whole = trials[WHOLE] if WHOLE in trials.columns else pd.Series(pd.NA, trials.index)
    told = [
        f"{trial_id} (epoch {reached}{'' if pd.isna(most) else f' of {most:.0f}'})"
        for trial_id, reached, most in zip(trials["trial_id"], trials["epochs_trained"], whole, strict=True)
    ]
    left = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    return f": {', '.join(told[:MOST_NAMED])}{left}" if told else ""


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
    seeds = int(first.get("n", 1))
    who = f"trial, {first['trial_id']}, reached {reached}"
    if seeds > 1:
        who = f"configuration, that of {first['trial_id']}, reached a mean {reached} over {seeds} seeds"
    interval = f" (95 % interval {first['interval']})" if "interval" in first else ""
    told = f"The best completed {who}{interval} after {first['epochs_trained']} epochs"
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
