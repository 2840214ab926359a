"""What the best configurations gave with fresh seeds and on the test split, as trials of a tracker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from cifar_tune.results import Frames
from cifar_tune.results.columns import CONFIGURATION_PREFIX, INTERRUPTED, RUNNING, TRAIN
from cifar_tune.tracking.news import HasAll, News, plain_values
from cifar_tune.tracking.tracker import TrackedTrial

SCORES = ("validation_accuracy", "validation_loss", "test_accuracy", "test_loss")
BESIDES = ("sweep", "trial_id", "status", "opened_at", "epochs", *SCORES)
"""Columns that are not part of the outcome, or are told otherwise."""


def confirmation_news(frames: Frames, has_all: HasAll) -> Iterator[News]:
    """Yields the confirmations that have ended and that the tracker has not: name `<trial>-confirm-<seed>`.

    The scores stand at the last epoch; the configuration is that of the trial of the search, with the fresh seed.
    """
    trials = frames.trials.set_index("trial_id")
    ended = frames.confirmations[~frames.confirmations["status"].isin([RUNNING, INTERRUPTED])]
    for place in range(len(ended)):
        row = plain_values(ended.iloc[place])
        found = plain_values(trials.loc[row["trial_id"]]) if row["trial_id"] in trials.index else {}
        start = str(trials.loc[row["trial_id"], "started_at"]) if found else ""
        scores = {score: float(row[score]) for score in SCORES if score in row}
        name, epoch = _name(row), int(row.get("epochs", 0)) if scores else 0
        if not has_all(name, epoch, row["status"], start):
            at = row.get("opened_at", datetime.fromtimestamp(0, UTC))
            yield News(_tracked(name, row, found), [(epoch, scores, at)] if epoch else [], start)


def _name(row: dict[str, Any]) -> str:
    """`t0004-confirm-1000000`; of a model that `evaluate` opened the test split for, also which of its checkpoints."""
    if not row.get("retrained", True):
        return f"{row['trial_id']}-evaluate-{row['seed']}-{PurePosixPath(row.get('checkpoint', '')).name}"
    everything = "" if row["trained_on"] == TRAIN else "-all"
    return f"{row['trial_id']}-confirm{everything}-{row['seed']}"


def _tracked(name: str, row: dict[str, Any], source: dict[str, Any]) -> TrackedTrial:
    configuration = {
        path.removeprefix(CONFIGURATION_PREFIX): value
        for path, value in source.items()
        if path.startswith(CONFIGURATION_PREFIX)
    }
    return TrackedTrial(
        sweep=row["sweep"],
        trial_id=name,
        status=row["status"],
        configuration=configuration | {"seed": row["seed"]},
        outcome={"confirms": row["trial_id"]} | {key: value for key, value in row.items() if key not in BESIDES},
        started_at=row.get("opened_at"),
        ended_at=row.get("opened_at"),
    )
