"""Which trial was where and when: the log of placements that a driver keeps in its ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results.ledger import events

PLACED, LEFT = "placed", "left"
"""Kinds of notes: a worker begins a trial; the trial gives back what it held."""

COLUMNS = (
    "trial_id",
    "attempt",
    "node",
    "card",
    "gpus",
    "cpus",
    "gpu_memory_reserved_bytes",
    "micro_batch_size",
    "recompute",
    "began_at",
    "ended_at",
    "ended_because",
)


def read_placements(folder: Path) -> pd.DataFrame:
    """Returns a row for each stay of a trial on a node, in the order in which they began.

    gpus: the share of a card, or whole cards. gpu_memory_reserved_bytes: of all of them; 0 sets no limit. ended_at:
    when the driver took the place back, which for a lost node is when it was found lost; not before began_at, though
    the clock was put back; missing while the trial is there, and of trials whose driver was killed. ended_because: the
    status with which the trial ended there, or why it left, such as `ran out of memory; next: alone on NVIDIA H100
    PCIe`: each step of that ladder is a row.

    Raises:
        ResultsError: the folder holds no ledger, or a damaged one.
    """
    stays: list[dict[str, Any]] = []
    open_stays: dict[str, dict[str, Any]] = {}
    for event in events(folder / LEDGER_NAME, kind="note"):
        payload = event["payload"]
        if event["kind"] == PLACED:
            open_stays[payload["trial_id"]] = stay = {**payload, "began_at": payload["at"], "ended_at": None}
            stays.append(stay)
        elif event["kind"] == LEFT and (left := open_stays.pop(payload["trial_id"], None)) is not None:
            left |= {"ended_at": max(payload["at"], left["began_at"]), "ended_because": payload.get("reason")}
    table = pd.DataFrame(stays, columns=list(COLUMNS))
    moments = {name: pd.to_datetime(table[name], unit="s", utc=True) for name in ("began_at", "ended_at")}
    return table.assign(**moments)
