"""What is still to be trained of a sweep that has a results folder already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.layout import CHECKPOINTS, LEDGER_NAME
from cifar_tune.results.ledger import events
from cifar_tune.results.rows import replay
from cifar_tune.search.extending import goes_on
from cifar_tune.search.studies.observations import ENDED
from cifar_tune.storage.folders import place_of
from cifar_tune.training.manifest import epoch_of


@dataclass(frozen=True)
class Remaining:
    """What is left to train.

    new: trials that are not there yet, those that are trained anew among them. there: trials that are. going_on: of
    each of these that trains further, the epochs that it has left. from_the_first: how many of these have no checkpoint
    any more that they could go on from, so that they train from their first epoch again.
    """

    new: int
    there: int = 0
    going_on: tuple[int, ...] = ()
    from_the_first: int = 0


def remaining(sweep: SweepConfig, folder: Path, *, restart: bool) -> Remaining:
    """Returns what is left to train in a results folder. restart: completed trials are trained anew.

    Raises:
        ResultsError: there is no ledger, or it is damaged.
    """
    rows = replay(events(folder / LEDGER_NAME))
    trials = {trial_id: rows.trial(trial_id) for trial_id in rows.trials.places}
    proposed = sum(row["parent"] is None and row["restart_of"] is None for row in trials.values())
    new = max(0, len(sweep.cells()) * sweep.trials_per_study - proposed)
    epochs = sweep.trial.epochs
    if restart:
        anew = sum(goes_on(row, epochs) for row in trials.values())
        return Remaining(new + anew, len(trials))
    left, lost = [], 0
    for trial_id, row in trials.items():
        if row["status"] in ENDED and not goes_on(row, epochs):
            continue
        done = _epochs_done(row, place_of(folder) / CHECKPOINTS / trial_id)
        lost += bool(row["epochs_trained"]) and not done
        left.append(epochs - done)
    return Remaining(new, len(trials), tuple(left), lost)


def _epochs_done(row: Mapping[str, Any], trial: Any) -> int:
    """Returns the epochs that a trial need not train again."""
    if not row["epochs_trained"]:
        return 0
    return max(epoch_of(trial / name) or 0 for name in ("last", "previous"))
