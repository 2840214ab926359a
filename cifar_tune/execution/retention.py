"""What stays of the checkpoints of each trial, by `checkpoints: {keep: ...}`, while a sweep runs and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cifar_tune.config.schedulers import AshaPromotion, Hyperband, Pbt
from cifar_tune.config.sweep_config import Keep, SweepConfig
from cifar_tune.layout import CHECKPOINTS
from cifar_tune.results.columns import COMPLETED, DIVERGED, STOPPED
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.extending import epochs_are_bound, goes_on
from cifar_tune.storage.address import Address
from cifar_tune.storage.folders import place_of
from cifar_tune.training.retention import Kept, checkpoint_files, removal, trial_files

ENDED = (COMPLETED, STOPPED, DIVERGED)
"""Statuses of trials that `--resume` does not train again."""

Rule = Callable[[Mapping[str, Any]], Kept]
"""What stays of a trial that has ended, by its row of trials.parquet."""


def kept_of(row: Mapping[str, Any], sweep: SweepConfig, *, over: bool) -> Kept:
    """Returns what stays of a trial. over: the sweep has ended, so that what is paused goes on only if it is extended.

    row: of trials.parquet.
    """
    keep = sweep.checkpoints.keep
    if row["status"] not in ENDED or keep == "all":
        return "everything"
    if row["status"] == STOPPED and pauses(sweep) and not over:
        return "training"
    if keep == "best":
        return "best"
    return "training" if _may_be_extended(row, sweep) else "weights"


def pauses(sweep: SweepConfig) -> bool:
    """Returns whether a trial that the scheduler stops may go on later."""
    return isinstance(sweep.scheduler, AshaPromotion | Hyperband | Pbt)


def _may_be_extended(row: Mapping[str, Any], sweep: SweepConfig) -> bool:
    """Returns whether `--extend` may train the trial further, from where it was left."""
    if row["status"] == STOPPED:
        return pauses(sweep) and not isinstance(sweep.scheduler, Pbt)
    return goes_on(row, math.inf) and not epochs_are_bound(sweep)


def kept_of_retraining(row: Mapping[str, Any], keep: Keep) -> Kept:
    """Returns what stays of a retraining by `confirm`: its last weights are those that the test split has scored."""
    return "weights" if row["status"] in (COMPLETED, DIVERGED) and keep != "all" else "everything"


class Retention:
    """Deletes, beside the driver's own work, what trials that have ended are no longer needed for.

    Only what the ledger says has ended loses anything. A driver that is killed before leaves it to `tidy` of the next.
    A context: at its end what was begun is finished.
    """

    def __init__(self, store: ResultsStore, rule: Rule) -> None:
        self._store = store
        self._rule = rule
        self._checkpoints: Path | Address = place_of(store.folder) / CHECKPOINTS
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="retention")
        self._begun: dict[str, Future[None]] = {}

    def ended(self, trial_id: str) -> None:
        """Takes in that a trial has ended, which the ledger says already."""
        kept = self._rule(self._store.trial(trial_id))
        if kept != "everything":
            self._store.sync()  # no driver, here or elsewhere, may hold for unfinished what cannot go on any more
            self._store.secure()
            self._begun[trial_id] = self._pool.submit(self._trim, trial_id, kept)

    def before(self, trial_id: str) -> None:
        """Returns when nothing of a trial is being deleted: it is about to train again."""
        if (begun := self._begun.pop(trial_id, None)) is not None:
            begun.result()

    def tidy(self, rule: Rule) -> None:
        """Deletes what is left of all trials that have ended. rule: for the sweep as it stands now."""
        with suppress(OSError):
            for trial_id, files in checkpoint_files(self._checkpoints).items():
                if trial_id in self._store.trial_ids():
                    kept = rule(self._store.trial(trial_id))
                    removal(self._checkpoints / trial_id, files, kept, older=False).carry_out()

    def _trim(self, trial_id: str, kept: Kept) -> None:
        # what cannot be deleted now costs room and nothing else; `tidy` and `prune` try again
        with suppress(OSError):
            trial = self._checkpoints / trial_id
            removal(trial, trial_files(trial), kept, older=False).carry_out()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
