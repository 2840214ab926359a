"""`ResultsStore`: the one writer of a results folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cifar_tune.errors import ResultsError
from cifar_tune.layout import EPOCHS_NAME, LEDGER_NAME, TRIALS_NAME
from cifar_tune.results.columns import INTERRUPTED, RUNNING
from cifar_tune.results.full_disk import DiskPatience
from cifar_tune.results.ledger import Ledger, create_ledger, events, repair
from cifar_tune.results.lock import DriverLock
from cifar_tune.results.rows import DRIVER_DIED, Rows, replay
from cifar_tune.results.table_file import TableFile, release_memory
from cifar_tune.results.values import configuration_value
from cifar_tune.storage.folders import secure

WRITE_SHARE = 20
"""A table is written again no earlier than this many times the last writing took: at most 5 % of the wall time."""

WRITE_SECONDS = 1.0
"""Nor earlier than this."""


class ResultsStore:
    """Trials and epochs of one sweep, as events in a ledger, as rows in memory, and as two parquet files.

    An event is in the ledger before the call that reports it returns: killing the process at any instant loses
    nothing that was reported. The tables follow the ledger and are valid at every instant. One thread writes.
    """

    def __init__(self, folder: Path, ledger: Ledger, rows: Rows, lock: ExitStack) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self._ledger = ledger
        self._rows = rows
        self._lock = lock
        self._files = {name: TableFile(folder / name) for name in (EPOCHS_NAME, TRIALS_NAME)}
        self._stale = set(self._files)
        self._publish_at = 0.0
        self._closed = False
        self.publish(force=True)

    @classmethod
    def create(cls, folder: Path, *, sweep_name: str) -> ResultsStore:
        """Starts a sweep in a folder that holds none.

        Raises:
            ResultsError: the folder holds a sweep already, or another driver is at work in it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(f"{folder}: cannot be made a results folder: {error.strerror}") from error
        with _locked(folder) as keep:
            if any((folder / name).exists() for name in (LEDGER_NAME, TRIALS_NAME, EPOCHS_NAME)):
                raise ResultsError(
                    f"{folder}: holds a sweep already; --resume finishes it, --extend adds to it, --fresh starts over"
                )
            create_ledger(folder / LEDGER_NAME, sweep_name)
            return cls(folder, Ledger(folder / LEDGER_NAME), Rows(sweep_name), keep.pop_all())

    @classmethod
    def open(cls, folder: Path) -> ResultsStore:
        """Continues a sweep. Trials that were running when its driver died become `interrupted`.

        Raises:
            ResultsError: the folder holds no ledger, a damaged or newer one, or another driver is at work in it.
        """
        path = folder / LEDGER_NAME
        if not path.is_file():
            raise ResultsError(f"{folder}: holds no sweep that could be continued (there is no {LEDGER_NAME})")
        with _locked(folder) as keep:
            repair(path)
            rows = replay(events(path))
            ledger = Ledger(path)
            ledger.append({"event": "opened"})
            rows.interrupt_running(DRIVER_DIED)
            return cls(folder, ledger, rows, keep.pop_all())

    @property
    def patience(self) -> DiskPatience:
        """How long a full disk is waited for, here and by others who write into the folder."""
        return self._ledger.patience

    @property
    def sweep_name(self) -> str:
        """The name that the sweep was created with."""
        return self._rows.sweep_name

    def update_trial(
        self, trial_id: str, *, configuration: Mapping[str, object] | None = None, **values: object
    ) -> None:
        """Merges values into the trial's row; the first call makes the row.

        configuration: values of `trial.<path>`, by path without the prefix. values: by column name.

        Raises:
            ResultsError: no such column, a column that the epochs determine, or a value of another kind.
        """
        checked = self._rows.trials.check(values)
        paths = {path: configuration_value(value) for path, value in (configuration or {}).items()}
        self._ledger.append({"event": "trial", "trial_id": trial_id, "values": checked, "configuration": paths})
        self._rows.merge_trial(trial_id, checked, paths)
        self._stale.add(TRIALS_NAME)
        self.publish()

    def add_epoch(self, trial_id: str, epoch: int, **values: object) -> bool:
        """Adds an epoch; False, and nothing is written, if this epoch of this trial is there already.

        Raises:
            ResultsError: no such trial or column, an epoch below 1, or a value of another kind.
        """
        if trial_id not in self._rows.trials.places:
            raise ResultsError(f"trial `{trial_id}` reported an epoch before it was made known by update_trial")
        if epoch < 1:
            raise ResultsError(f"trial `{trial_id}`: epoch {epoch}: the first epoch is 1")
        if self._rows.epochs.has(trial_id, epoch):
            return False
        checked = self._rows.epochs.check(values)
        known = {name: value for name, value in checked.items() if value is not None}
        self._ledger.append({"event": "epoch", "trial_id": trial_id, "epoch": epoch, "values": known})
        self._rows.epochs.add(trial_id, epoch, checked)
        self._stale |= {EPOCHS_NAME, TRIALS_NAME}
        self.publish()
        return True

    def note(self, kind: str, **payload: object) -> None:
        """Records another fact that the search must know again after a restart; JSON values only.

        Raises:
            ResultsError: a value has no JSON form.
        """
        self._ledger.append({"event": "note", "kind": kind, "payload": payload})

    def secure(self) -> None:
        """Returns when the loss of this machine can lose no event, where the folder stands for an address.

        Raises:
            StorageError: the address cannot be written to.
            ResultsError: another driver has taken over there.
        """
        secure(self.folder / LEDGER_NAME)

    def sync(self) -> None:
        """Returns when a power failure can lose no event."""
        self._ledger.sync()

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """The payloads of all notes of a kind, oldest first, read from the ledger."""
        for event in events(self.folder / LEDGER_NAME, kind="note"):
            if event["kind"] == kind:
                yield event["payload"]

    def trial(self, trial_id: str) -> dict[str, Any]:
        """Every column of the trial's row, None where there is no value.

        Raises:
            ResultsError: no such trial.
        """
        return self._rows.trial(trial_id)

    def trial_ids(self) -> list[str]:
        """All trials, in the order in which they became known."""
        return list(self._rows.trials.places)

    def epochs(self, trial_id: str) -> list[dict[str, Any]]:
        """The trial's rows of epochs.parquet, in order.

        Raises:
            ResultsError: no such trial.
        """
        if trial_id not in self._rows.trials.places:
            raise ResultsError(f"the sweep has no trial `{trial_id}`")
        return self._rows.epochs.of_trial(trial_id)

    def publish(self, *, force: bool = False) -> None:
        """Brings the parquet files up to date, if it is time or `force`d. Every report does this by itself.

        A full disk is warned of and tried again later, for the ledger has the rows and the old tables stay.

        Raises:
            ResultsError: `force`d, and the disk is full.
            SurroundingsError: it has been full for longer than `patience` allows.
        """
        self._ledger.sync_if_due()
        if not self._stale or not (force or time.monotonic() >= self._publish_at):
            return
        began = time.monotonic()
        try:
            self._write_stale(self.patience if force else DiskPatience())
        except ResultsError as error:
            if force:
                raise
            warnings.warn(f"{error}; trying again", stacklevel=2)
        ended = time.monotonic()
        self._publish_at = ended + max(WRITE_SECONDS, WRITE_SHARE * (ended - began))

    def _write_stale(self, patience: DiskPatience) -> None:
        for name, file in self._files.items():
            if name in self._stale:
                file.replace(self._rows.groups(name), patience)
                self._stale.remove(name)
        release_memory()

    def close(self) -> None:
        """Publishes, marks what is still running as interrupted, and lets another driver in. Again is harmless."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            for trial_id in self._rows.trials.where("status", RUNNING):
                ended = "the sweep ended while the trial was running"
                self.update_trial(trial_id, status=INTERRUPTED, status_reason=ended)
            self.publish(force=True)
            self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _locked(folder: Path) -> Iterator[ExitStack]:
    """The folder's lock, released at the end of the block unless the block keeps it by `pop_all`."""
    lock = DriverLock(folder)
    lock.acquire()
    with ExitStack() as held:
        held.callback(lock.release)
        yield held
