"""`optuna.journal`: every trial in its true state, for optuna-dashboard, `optuna.load_study` and Optuna's plots.

The file follows the ledger and nothing reads it here: deleted or damaged, it is written anew when the sweep is resumed.
It is in the format of Optuna's `JournalFileBackend`, one operation a line; lines are appended whole, so that it can be
read at any moment. A trial that was stopped is pruned, with its values by epoch, and never looks like a finished one;
one that is paused is running until it is clear that it does not go on, for Optuna opens no trial again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages.journal._storage import JournalOperation
from optuna.study import StudyDirection
from optuna.trial import TrialState

from cifar_tune.config.objective import Objective
from cifar_tune.errors import ResultsError
from cifar_tune.results.full_disk import DiskPatience, append_whole
from cifar_tune.search.studies.observations import CONSTRAINT, State
from cifar_tune.storage.atomic_write import replace_text

WRITER = "cifar_tune"
"""By which Optuna tells our operations from those of a process that reads them."""

METRIC_NAMES = "study:metric_names"
"""Attribute of Optuna's studies that names what their plots show, as `Study.set_metric_names` writes it."""

TRIAL_ID = "trial_id"
"""Attribute of Optuna's trials that holds our name of them."""

STATES: Mapping[State, TrialState] = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


@dataclass(slots=True)
class _Written:
    """What the file says of a trial. place: Optuna's identity of it. first: the first objective after the epoch.

    values: of all objectives, as they were reported last.
    """

    place: int
    epoch: int = 0
    first: float | None = None
    values: tuple[float, ...] = ()
    ended: bool = False


class Journal:
    """Appends what is new to the file. What is there already, from before a kill, is not written again."""

    def __init__(self, path: Path, patience: DiskPatience | None = None) -> None:
        """patience: how long to wait while the disk is full. None: not at all."""
        self._path = path
        self._patience = patience or DiskPatience()
        self._studies: dict[str, int] = {}
        self._trials: dict[str, _Written] = {}
        self._count = 0
        try:
            self._recall()
        except (OSError, ValueError, KeyError):
            self._studies, self._trials, self._count = {}, {}, 0
            path.unlink(missing_ok=True)

    def add_study(self, name: str, objectives: Sequence[Objective]) -> None:
        """Writes a study, unless it is there."""
        if name in self._studies:
            return
        directions = [StudyDirection.MAXIMIZE if one.sign > 0 else StudyDirection.MINIMIZE for one in objectives]
        self._append(JournalOperation.CREATE_STUDY, study_name=name, directions=directions)
        self._studies[name] = len(self._studies)
        names = {METRIC_NAMES: [one.metric for one in objectives]}
        self._append(JournalOperation.SET_STUDY_SYSTEM_ATTR, study_id=self._studies[name], system_attr=names)

    def begin(
        self,
        study: str,
        trial_id: str,
        answers: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        constraint_violations: Mapping[str, float],
    ) -> None:
        """Writes that a trial trains."""
        if trial_id in self._trials:
            return
        self._append(
            JournalOperation.CREATE_TRIAL,
            study_id=self._studies[study],
            datetime_start=_now(),
            state=TrialState.RUNNING,
            value=None,
            values=None,
            distributions={name: distribution_to_json(one) for name, one in distributions.items()},
            params={name: distributions[name].to_internal_repr(answer) for name, answer in answers.items()},
            user_attrs={TRIAL_ID: trial_id},
            system_attrs={f"{CONSTRAINT}{name}": excess for name, excess in constraint_violations.items()},
            intermediate_values={},
        )
        self._trials[trial_id] = _Written(self._count)
        self._count += 1

    def report(self, trial_id: str, epoch: int, *values: float) -> None:
        """Writes the first objective's value; one that a kill kept from the ledger is replaced.

        values: an objective each; of several, Optuna holds those of the last epoch only.
        """
        trial = self._trials[trial_id]
        trial.values = values if epoch >= trial.epoch else trial.values
        if epoch < trial.epoch or (epoch == trial.epoch and values[0] == trial.first):
            return
        if trial.ended:
            self._reopen(trial)
        trial.epoch, trial.first = epoch, values[0]
        self._append(
            JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
            trial_id=trial.place,
            step=epoch,
            intermediate_value=values[0],
        )

    def resume(self, trial_id: str) -> None:
        """Writes that a trial that has ended trains again."""
        if self._trials[trial_id].ended:
            self._reopen(self._trials[trial_id])

    def end(self, trial_id: str, state: State, constraint_violations: Mapping[str, float]) -> None:
        """Writes what became of a trial. One that completed without a value failed, as Optuna sees it."""
        trial = self._trials[trial_id]
        if trial.ended:
            return
        for name, excess in constraint_violations.items():
            attribute = {f"{CONSTRAINT}{name}": excess}
            self._append(JournalOperation.SET_TRIAL_SYSTEM_ATTR, trial_id=trial.place, system_attr=attribute)
        known = STATES[state]
        if known == TrialState.COMPLETE and not trial.values:
            known = TrialState.FAIL
        worth = known == TrialState.COMPLETE or (known == TrialState.PRUNED and len(trial.values) == 1)
        values = trial.values if worth else None
        trial.ended = True
        self._append(
            JournalOperation.SET_TRIAL_STATE_VALUES,
            trial_id=trial.place,
            state=known,
            values=values,
            datetime_complete=_now(),
        )

    def _append(self, operation: JournalOperation, **fields: Any) -> None:
        line = json.dumps({"op_code": operation, "worker_id": WRITER, **fields}, separators=(",", ":")) + "\n"
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ResultsError(f"{self._path}: could not be written: {error.strerror}") from error
        try:
            append_whole(file, line.encode(), self._path, self._patience)
        finally:
            os.close(file)

    def _recall(self) -> None:
        """Reads the file, without what a kill tore at its end. Raises if it is not a journal of ours."""
        if not self._path.exists():
            return
        text = self._path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            with self._path.open("r+b") as file:
                file.truncate(whole)
        by_place: list[_Written] = []
        for log in _lines(text[:whole]):
            match log["op_code"]:
                case JournalOperation.CREATE_STUDY:
                    self._studies.setdefault(log["study_name"], len(self._studies))
                case JournalOperation.CREATE_TRIAL:
                    by_place.append(_Written(len(by_place)))
                    self._trials[log.get("user_attrs", {}).get(TRIAL_ID, f"of others {len(by_place)}")] = by_place[-1]
                case JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE:
                    trial = by_place[log["trial_id"]]
                    trial.epoch, trial.first = log["step"], log["intermediate_value"]
                case JournalOperation.SET_TRIAL_STATE_VALUES:
                    by_place[log["trial_id"]].ended = TrialState(log["state"]).is_finished()
        self._count = len(by_place)

    def _reopen(self, trial: _Written) -> None:
        """Takes back that a trial has ended: it is trained on, and Optuna changes no trial that has ended."""
        ends = {"op_code": JournalOperation.SET_TRIAL_STATE_VALUES, TRIAL_ID: trial.place}
        text = self._path.read_text(encoding="utf-8")
        kept = [line for line in text.splitlines(keepends=True) if not ends.items() <= json.loads(line).items()]
        replace_text(self._path, "".join(kept))
        trial.ended = False


def _lines(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        log = json.loads(line)
        if not isinstance(log, dict):
            raise ValueError("no operation")
        yield log


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
