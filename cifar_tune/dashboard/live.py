"""A results folder that is read again as it grows."""

from __future__ import annotations

import secrets
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.dashboard.trial_events import DECISIONS_KEPT, Change, TrialEventLog
from cifar_tune.errors import ResultsError
from cifar_tune.layout import CONFIRMATIONS_NAME, EPOCHS_NAME, LEDGER_NAME, SWEEP_NAME, TRIALS_NAME
from cifar_tune.results import DamagedTableWarning, Frames, check_sweep, frames_of, load
from cifar_tune.results.tail import LedgerTail

READ_SHARE = 10
"""The folder is read again no earlier than this many times the CPU time of the last reading."""
READ_SECONDS, LONGEST_PAUSE = 0.5, 1.5
"""Bounds of that pause; the page adds a second of its own."""


@dataclass(frozen=True)
class Snapshot:
    """A sweep as it stood at one moment. version: changes whenever anything of it does.

    decisions: the latest at rungs, newest first. notice: what is wrong with the folder, None if nothing.
    """

    folder: Path
    version: str
    trials: pd.DataFrame
    epochs: pd.DataFrame
    confirmations: pd.DataFrame
    sweep: SweepFile
    decisions: tuple[Mapping[str, Any], ...]
    notice: str | None = None


class LiveSweep:
    """The newest state of a results folder: of its ledger as it grows, or of its tables where there is no ledger."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder.

        Raises:
            ResultsError: it is not a results folder, is beyond reading, or is of a newer version.
        """
        check_sweep(folder)
        self._folder = folder
        self._lock = threading.Lock()
        self._begun = secrets.token_hex(4)
        self._count = 0
        self._read_again_at = 0.0
        self._signature: tuple[object, ...] | None = None
        self._tail = LedgerTail(folder / LEDGER_NAME)
        self._event_log = TrialEventLog(folder.name)
        self._snapshot = self._read()

    def snapshot(self) -> Snapshot:
        """The folder as it is now, or was a moment ago; with a notice, as it was when it could last be read."""
        with self._lock:
            if time.monotonic() < self._read_again_at:
                return self._snapshot
            began = time.thread_time()
            try:
                self._snapshot = self._read()
            except ResultsError as error:
                self._signature = None
                if self._snapshot.notice != str(error):
                    self._snapshot = replace(self._snapshot, version=self._next_version(), notice=str(error))
            pause = READ_SHARE * (time.thread_time() - began)
            self._read_again_at = time.monotonic() + min(LONGEST_PAUSE, max(READ_SECONDS, pause))
            return self._snapshot

    def history(self, trial_id: str) -> Sequence[Change]:
        """How the trial's status changed, oldest first; empty where there is no ledger."""
        with self._lock:
            return self._event_log.history(trial_id)

    def _read(self) -> Snapshot:
        ledger = (self._folder / LEDGER_NAME).is_file()
        grown = self._follow() if ledger else False
        names = (SWEEP_NAME, CONFIRMATIONS_NAME) + (() if ledger else (TRIALS_NAME, EPOCHS_NAME))
        signature = (ledger, *(_signature(self._folder / name) for name in names))
        if signature == self._signature and not grown:
            return self._snapshot
        frames, notice = self._frames(ledger)
        decisions = self._event_log.decisions if ledger else _decisions(frames.epochs)
        self._signature = signature
        return Snapshot(
            folder=self._folder,
            version=self._next_version(),
            trials=frames.trials,
            epochs=frames.epochs,
            confirmations=frames.confirmations,
            sweep=read_sweep_file(self._folder),
            decisions=tuple(reversed(decisions)),
            notice=notice,
        )

    def _follow(self) -> bool:
        """Takes in what the ledger has grown by; False if it has not."""
        grown = False
        for event in self._tail.new_events():
            grown = True
            if event["event"] == "created":
                self._event_log = TrialEventLog(event["sweep"])
            else:
                self._event_log.apply(event)
        return grown

    def _frames(self, ledger: bool) -> tuple[Frames, str | None]:
        """The tables, and what was wrong with them."""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", DamagedTableWarning)
            frames = frames_of(self._folder, self._event_log.rows) if ledger else load(self._folder)
        return frames, "; ".join(str(warning.message) for warning in told) or None

    def _next_version(self) -> str:
        self._count += 1
        return f"{self._begun}-{self._count}"


def _signature(path: Path) -> tuple[int, int] | None:
    """Changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _decisions(epochs: pd.DataFrame) -> list[Any]:
    """Decisions at rungs, trial after trial; their order in time is not in the tables."""
    decided = epochs[epochs["rung"].notna()].tail(DECISIONS_KEPT).astype(object)
    return decided.where(decided.notna(), None).to_dict("records")
