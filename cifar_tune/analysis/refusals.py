"""What the search proposed and did not train, since it breaks a constraint or makes no trial."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.errors import ResultsError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results.ledger import events

COLUMNS = ["study", "refused", "trained", "last_reason"]


def refusals(folder: Path, sweep: SweepFile) -> pd.DataFrame:
    """One row a study of a sweep with constraints: proposals refused and trained, and why the last was refused."""
    found: dict[str, list[object]] = {}
    if sweep.constrained:
        try:
            for event in events(folder / LEDGER_NAME, kind="note"):
                if event["kind"] == "proposed":
                    _count(found, **event["payload"])
        except ResultsError:
            found = {}
    return pd.DataFrame([[study, *row] for study, row in found.items() if row[0]], columns=COLUMNS)


def _count(found: dict[str, list[object]], study: str, seed: int | None, refused: str = "", **_: object) -> None:
    row = found.setdefault(study, [0, 0, ""])
    place = 0 if seed is None else 1
    count = row[place]
    assert isinstance(count, int)
    row[place] = count + 1
    if seed is None:
        row[2] = refused


def refusals_text(table: pd.DataFrame) -> str | None:
    """The table in a sentence; None where nothing was refused."""
    if table.empty:
        return None
    refused, trained = int(table["refused"].sum()), int(table["trained"].sum())
    last = table["last_reason"].iloc[-1]
    return f"{refused} of {refused + trained} proposals were refused before training, such as: {last}."
