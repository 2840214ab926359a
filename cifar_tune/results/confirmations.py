"""confirmations.parquet: what the best configurations of a sweep give with fresh seeds, and on the test split.

The retrainings have a ledger, tables and checkpoints of their own, in the folder `confirm` of the results folder. The
table follows from that ledger alone. What `evaluate` opens the test split for is written there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from posixpath import normpath
from typing import Any

import pyarrow as pa

from cifar_tune.layout import CONFIRM_FOLDER, CONFIRMATIONS_NAME, LEDGER_NAME
from cifar_tune.results.arrow import ARROW_TYPES, table
from cifar_tune.results.columns import CONFIRMATION_COLUMNS
from cifar_tune.results.ledger import events
from cifar_tune.results.rows import replay
from cifar_tune.results.store import ResultsStore
from cifar_tune.results.table_file import TableFile
from cifar_tune.results.values import coerce

PLANNED, OPENED, SCORED = "planned", "opened", "scored"
"""Kinds of notes in its ledger: a retraining or another model, an opening of the test split for it, its score."""


class ConfirmationsFile:
    """The table of one results folder, for its one writer."""

    def __init__(self, folder: Path) -> None:
        self._ledger = ledger_of(folder)
        self._file = TableFile(folder / CONFIRMATIONS_NAME)

    def publish(self) -> None:
        """Brings the table up to date with the ledger.

        Raises:
            ResultsError: the disk is full, or the ledger is damaged.
        """
        self._file.replace(lambda: [confirmations_of(self._ledger)])


def ledger_of(folder: Path) -> Path:
    """The ledger of a results folder's retrainings."""
    return folder / CONFIRM_FOLDER / LEDGER_NAME


def retrainings_store(folder: Path, sweep_name: str) -> ResultsStore:
    """Returns the store of a results folder's retrainings, new or as it was left.

    Raises:
        ResultsError: another `confirm` is at work, or the ledger is damaged.
    """
    inside = folder / CONFIRM_FOLDER
    exists = ledger_of(folder).is_file()
    return ResultsStore.open(inside) if exists else ResultsStore.create(inside, sweep_name=sweep_name)


def confirmations_of(ledger: Path) -> pa.Table:
    """The table that a ledger determines: one row a retraining that has begun, in the order in which they were planned.

    Raises:
        ResultsError: there is no ledger, or it is damaged.
    """
    told = list(events(ledger))
    rows = replay(told)
    notes = [(event["kind"], event["payload"]) for event in told if event["event"] == "note"]
    planned = {note["trial_id"]: note for kind, note in notes if kind == PLANNED}
    begun = [
        _row(rows.trial(trial_id), plan, [(kind, note) for kind, note in notes if note["trial_id"] == trial_id])
        for trial_id, plan in planned.items()
        if trial_id in rows.trials.places
    ]
    return confirmation_table(rows.sweep_name, begun)


def confirmation_table(sweep_name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The rows as an Arrow table; without rows, its columns."""
    rows = list(rows)
    return table(
        sweep_name,
        ((one, pa.array([row[one.name] for row in rows], ARROW_TYPES[one.kind])) for one in CONFIRMATION_COLUMNS),
    )


def last_opening(notes: Iterable[tuple[str, Any]]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Returns the last opening that gave a score, and the score; where none did, the last one and nothing.

    notes: kind and payload of those about one trial, oldest first.
    """
    opened: Mapping[str, Any] = {}
    found: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    for kind, note in notes:
        if kind == OPENED:
            opened = note
        elif kind == SCORED:
            found = opened, note
    return found or (opened, {})


def _row(trial: Mapping[str, Any], plan: Mapping[str, Any], notes: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """One retraining, from its own row in trials.parquet and the notes about it."""
    opened = [note for kind, note in notes if kind == OPENED]
    last, score = last_opening(notes)
    reasons = [plan["reason"], *(note["reason"] for note in opened if "reason" in note)]
    values = {
        **trial,
        "trial_id": plan["source"],
        "configuration": plan["configuration"],
        "trained_on": plan["trained_on"],
        "test_accuracy": score.get("test_accuracy"),
        "test_loss": score.get("test_loss"),
        "test_images": score.get("test_images"),
        "epochs": trial["epochs_trained"],
        "opened_at": last.get("opened_at"),
        "openings": len(opened),
        "commit": last.get("commit"),
        "retrained": plan.get("retrained", True),
        "reason": "; ".join(dict.fromkeys(reasons)),
        "checkpoint": None if trial["checkpoint"] is None else normpath(f"{CONFIRM_FOLDER}/{trial['checkpoint']}"),
    }
    return {column.name: coerce(CONFIRMATIONS_NAME, column, values[column.name]) for column in CONFIRMATION_COLUMNS}
