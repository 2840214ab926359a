"""What the page asks for, from a snapshot: each function gives one answer as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from cifar_tune.analysis.audit import stopping_audit
from cifar_tune.analysis.audit_text import audit_sentences
from cifar_tune.analysis.budget import BEST
from cifar_tune.analysis.confirmation_text import confirmation_answer, confirmation_findings
from cifar_tune.analysis.cost import cost, cost_words
from cifar_tune.analysis.naming import UNITS, more_is_better, title, written
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.pareto import pareto
from cifar_tune.analysis.pareto_text import pareto_answer
from cifar_tune.analysis.ranking import failures, ranking, status_counts
from cifar_tune.analysis.refusals import refusals, refusals_text
from cifar_tune.analysis.repeats import configuration_of
from cifar_tune.analysis.rungs import rung_survival
from cifar_tune.analysis.status_line import answer, status_line, sweep_name
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.analysis.why import why
from cifar_tune.dashboard.live import Snapshot
from cifar_tune.dashboard.trial_events import Change
from cifar_tune.dashboard.values import column_title, columnar, form, plain, words
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX, EPOCH_COLUMNS
from cifar_tune.results.lock import read_driver
from cifar_tune.storage.folders import named

AFTER_PARAMETERS = (
    "epochs_trained",
    "train_seconds",
    "peak_memory_bytes",
    "device_name",
    "node",
    "study",
    "started_at",
)
SHOWN_ABOVE = ("sweep", "trial_id", "status", "error")
"""Of a trial; the other columns follow as a list."""
DECISIONS_SHOWN = 50


def state(snapshot: Snapshot) -> dict[str, Any]:
    """How the sweep stands, in a few words: what the page asks for again and again."""
    counts = status_counts(snapshot.trials)
    driver = read_driver(snapshot.folder)
    metric = objective(snapshot)
    return {
        "version": snapshot.version,
        "name": sweep_name(snapshot.folder, snapshot.trials),
        "folder": named(snapshot.folder),
        "question": list(snapshot.sweep.header),
        "answer": confirmation_answer(snapshot.confirmations, snapshot.trials, snapshot.sweep, metric)
        or (pareto_answer(snapshot.trials, snapshot.sweep) if several_objectives(snapshot) else None)
        or answer(snapshot.trials, metric, snapshot.sweep),
        "standing": status_line(snapshot.folder, snapshot.trials),
        "running": driver is not None and driver.alive,
        "counts": counts,
        "trials": len(snapshot.trials),
        "epochs": len(snapshot.epochs),
        "metric": {"name": metric, "title": title(metric), "more_is_better": more_is_better(metric)},
        "curve_metrics": curve_metrics(snapshot),
        "notice": snapshot.notice,
    }


def trials(snapshot: Snapshot) -> dict[str, Any]:
    """Every trial, column by column; those that rank first, then those that got furthest.

    With several objectives the place along the Pareto front stands where else the rank does.
    """
    metric, several = objective(snapshot), several_objectives(snapshot)
    frame = snapshot.trials.assign(rank=snapshot.trials["trial_id"].map(_places(snapshot)).astype("Int64"))
    keys = ["rank", "epochs_trained", metric]
    ordered = frame.sort_values(keys, ascending=[True, False, not more_is_better(metric)], kind="stable")
    sought = snapshot.sweep.objectives if several else (metric, BEST + metric, SweepFile.metric)
    outcome = [name for name in sought if name in frame.columns]
    columns = ["rank", "trial_id", "status", *outcome, *varied_parameters(frame, snapshot.sweep), *AFTER_PARAMETERS]
    return columnar(ordered[list(dict.fromkeys(columns))], {"rank": "front" if several else "rank"})


def _places(snapshot: Snapshot) -> dict[str, int]:
    """The rank of each completed trial's configuration, or its place along the Pareto front if it is on it."""
    if several_objectives(snapshot):
        along = pareto(snapshot.trials, snapshot.sweep.objectives)["trial_id"]
        return {trial_id: place for place, trial_id in enumerate(along, start=1)}
    ranked = ranking(snapshot.trials, objective(snapshot), sweep=snapshot.sweep)
    completed = snapshot.trials[snapshot.trials["status"] == COMPLETED].set_index("trial_id")
    of = configuration_of(completed)
    rank_of = dict(zip(of[ranked["trial_id"]], ranked["rank"], strict=True))
    return {str(trial_id): rank_of[configuration] for trial_id, configuration in of.items() if configuration in rank_of}


def trial(snapshot: Snapshot, trial_id: str, history: Sequence[Change]) -> dict[str, Any]:
    """One trial: what became of it and why, its log, its outcome and its configuration.

    Raises:
        AnalysisError: no such trial.
    """
    metric = objective(snapshot)
    told = why(snapshot.trials, snapshot.epochs, trial_id, metric, snapshot.sweep.objectives)
    found = snapshot.trials[snapshot.trials["trial_id"] == trial_id]
    row = found.iloc[0]
    epochs = snapshot.epochs[snapshot.epochs["trial_id"] == trial_id]
    configuration = [name for name in found.columns if name.startswith(CONFIGURATION_PREFIX)]
    outcome = [name for name in found.columns if name not in (*configuration, *SHOWN_ABOVE)]
    return {
        "trial_id": trial_id,
        "status": plain(row["status"]),
        "why": told.splitlines(),
        "error": plain(row["error"]),
        "configuration": _entries(found, configuration),
        "outcome": _entries(found, outcome),
        "log": list(_log(epochs, history, metric.removeprefix(BEST))),
    }


def _entries(found: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Title, value and form of each column that the trial has a value in."""
    values = [(name, plain(found[name].iloc[0])) for name in columns]
    return [
        {"title": column_title(name), "value": value, "form": form(name, found[name])}
        for name, value in values
        if value is not None
    ]


def _log(epochs: pd.DataFrame, history: Sequence[Change], metric: str) -> Iterator[str]:
    """Yields what happened to a trial, line by line: changes of status between the epochs."""
    changes = list(history)
    for row in epochs.to_dict("records"):
        while changes and changes[0].epoch < row["epoch"]:
            yield changes.pop(0).text
        yield _epoch_line(row, metric)
    yield from (change.text for change in changes)


def _epoch_line(row: dict[Any, Any], metric: str) -> str:
    parts = [f"epoch {row['epoch']}"]
    if metric in row and not pd.isna(row[metric]):
        words, _, unit = title(metric).partition(" (")
        parts.append(f"{words} {written(metric, float(row[metric]))} {unit.removesuffix(')')}".strip())
    if not pd.isna(row["epoch_seconds"]):
        parts.append(f"{row['epoch_seconds']:.1f} s")
    if not pd.isna(row["rung"]):
        parts.append(decision_text(row, metric))
    return ", ".join(parts)


def decision_text(row: dict[Any, Any], metric: str) -> str:
    """A decision at a rung in words: `rung 3: rank 5 of 9, cutoff 61.2: stop`."""
    text = f"rung {int(row['rung'])}"
    if not pd.isna(row.get("rung_rank")) and not pd.isna(row.get("rung_size")):
        text += f": rank {int(row['rung_rank'])} of {int(row['rung_size'])}"
    cutoff, front = row.get("rung_cutoff"), row.get("rung_front")
    if front is not None and not pd.isna(front):
        text += f", front {front:.0f}"
    else:
        text += ", no cutoff yet" if pd.isna(cutoff) else f", cutoff {written(metric, float(cutoff))}"
    return f"{text}: {row['decision']}" if row.get("decision") else text


def decisions(snapshot: Snapshot) -> dict[str, Any]:
    """How many trials each rung let through, what the audit of stopping found, and the latest decisions."""
    metric = objective(snapshot).removeprefix(BEST)
    shown = snapshot.decisions[:DECISIONS_SHOWN]
    alone = not several_objectives(snapshot)
    audit = stopping_audit(snapshot.trials, snapshot.epochs, objective(snapshot)) if alone else None
    return {
        "rungs": words(rung_survival(snapshot.trials, snapshot.epochs)),
        "audit": audit_sentences(audit) if audit else (),
        "latest": [
            {
                "trial_id": row["trial_id"],
                "value": _written(metric, row.get(metric)),
                "text": decision_text(dict(row), metric),
            }
            for row in shown
        ],
    }


def _written(metric: str, value: Any) -> str:
    return "–" if value is None else written(metric, float(value))


def spent(snapshot: Snapshot) -> dict[str, Any]:
    """Cost by status and device, why trials failed, and what was refused before training."""
    return {
        "cost": words(cost_words(cost(snapshot.trials))),
        "failures": words(failures(snapshot.trials)),
        "refused": refusals_text(refusals(snapshot.folder, snapshot.sweep)),
    }


def confirmations(snapshot: Snapshot) -> list[dict[str, Any]]:
    """What was confirmed with fresh seeds, as a report tells it: title, text and table of each finding."""
    found = confirmation_findings(snapshot.confirmations, snapshot.trials, snapshot.sweep, objective(snapshot))
    return [{"title": one.title, "text": one.text, "table": words(one.table)} for one in found]


def curve_metrics(snapshot: Snapshot) -> list[dict[str, str]]:
    """What curves can be drawn of, the objective first, or accuracy where the objective is none of these."""
    measured = [
        column.name
        for column in EPOCH_COLUMNS
        if column.kind in ("float", "int") and column.name != "epoch" and not column.name.startswith("rung")
    ]
    first = objective(snapshot).removeprefix(BEST)
    return [
        {"name": name, "title": title(name)}
        for name in sorted(measured, key=lambda name: (name != first, name != SweepFile.metric))
    ]


def several_objectives(snapshot: Snapshot) -> bool:
    """Whether the sweep seeks more than one metric, all of which the tables have."""
    objectives = snapshot.sweep.objectives
    return bool(objectives) and {*objectives} <= {*snapshot.trials.columns}


def objective(snapshot: Snapshot) -> str:
    """The metric that the sweep seeks, if the tables have it."""
    return snapshot.sweep.metric if snapshot.sweep.metric in UNITS else SweepFile.metric
