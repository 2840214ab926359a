"""What the checkpoints of a sweep take on disk, counted before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tune.config.samplers import Random
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.execution.retention import kept_of
from cifar_tune.results.columns import COMPLETED, STOPPED
from cifar_tune.search.studies.studies import Study
from cifar_tune.training.checkpoint_size import CheckpointSize, checkpoint_size
from cifar_tune.training.retention import Kept
from cifar_tune.training.trial import TrialConfig

DRAWS = 16
"""Random proposals, at least one in each cell, by which the mean size of a trial is estimated."""

AT_WORK = 3
"""Whole checkpoints of a trial that trains: `last`, `previous` and the one that is being written."""


@dataclass(frozen=True)
class DiskNeed:
    """Bytes of all checkpoints.

    least, most: when the sweep has ended, if the last epoch of each trial is its best, so that both share a file, and
    if of none it is. peak: while it runs.
    """

    least: float
    most: float
    peak: float


def disk_need(sweep: SweepConfig, root: Path, *, completed: float, stopped: float, at_once: int) -> DiskNeed:
    """Returns what the checkpoints of so many completed and stopped trials take. at_once: trials that train."""
    size = _mean_size(sweep, root)
    rows: list[tuple[float, dict[str, Any]]] = [
        (count, {"status": status, "status_reason": None, "parent": None, "epochs_trained": sweep.trial.epochs})
        for count, status in ((completed, COMPLETED), (stopped, STOPPED))
    ]
    ended = [(count, kept_of(row, sweep, over=True)) for count, row in rows]
    running = [(count, kept_of(row, sweep, over=False)) for count, row in rows]
    least = sum(count * _bytes(kept, size, shared=True) for count, kept in ended)
    most = sum(count * _bytes(kept, size, shared=False) for count, kept in ended)
    waiting = sum(count * _bytes(kept, size, shared=False) for count, kept in running)
    others = max(0.0, 1 - at_once / max(1.0, completed + stopped))
    peak = others * waiting + at_once * (AT_WORK * size.whole + size.weights)
    return DiskNeed(least, most, max(peak, most))


def _bytes(kept: Kept, size: CheckpointSize, *, shared: bool) -> float:
    """Returns what a trial that has ended takes. shared: `best` and `last` are of one epoch."""
    best = 0.0 if shared else size.weights
    match kept:
        case "everything":
            return 2 * size.whole + best
        case "training":
            return size.whole + best
        case "weights":
            return size.weights + best
        case _:
            return size.weights


def _mean_size(sweep: SweepConfig, root: Path) -> CheckpointSize:
    sizes = [checkpoint_size(trial, trial.dataset.info(root)) for trial in _proposals(sweep)]
    return CheckpointSize(
        sum(one.weights for one in sizes) / len(sizes), sum(one.training for one in sizes) / len(sizes)
    )


def _proposals(sweep: SweepConfig) -> Iterator[TrialConfig]:
    """Yields as many proposals of each cell, the baseline first, which each cell begins with."""
    cells = sweep.cells()
    for place, cell in enumerate(cells):
        yield sweep.trial_with(cell)
        study = Study(cell, search=sweep.search, sampler=Random(), seed=place, epochs=sweep.trial.epochs)
        for _ in range(min(sweep.trials_per_study, -(-DRAWS // len(cells))) - 1 if sweep.search else 0):
            try:
                yield sweep.trial_with({**cell, **study.values(study.ask())})
            except ConfigError:
                continue
