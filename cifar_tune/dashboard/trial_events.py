"""What a ledger tells beyond the tables: in which order things happened to the trials."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_tune.results.columns import RUNNING
from cifar_tune.results.rows import DRIVER_DIED, Rows

DECISIONS_KEPT = 200


@dataclass(frozen=True)
class Change:
    """One entry of a trial's status history. epoch: the last that it had reported by then."""

    epoch: int
    text: str


class TrialEventLog:
    """The rows of a ledger, each trial's status history, and the latest decisions at rungs."""

    def __init__(self, sweep_name: str) -> None:
        self.rows = Rows(sweep_name)
        self.decisions: deque[Mapping[str, Any]] = deque(maxlen=DECISIONS_KEPT)
        """Rows of epochs.parquet, newest last."""
        self._histories: dict[str, list[Change]] = {}
        self._reached: dict[str, int] = {}
        self._attempts: dict[str, int] = {}

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes in an event of the ledger after its first."""
        match event["event"]:
            case "trial":
                self._note_status(event["trial_id"], event["values"])
            case "epoch":
                self._reached[event["trial_id"]] = event["epoch"]
                if event["values"].get("rung") is not None:
                    self.decisions.append({"trial_id": event["trial_id"], "epoch": event["epoch"], **event["values"]})
            case "opened":
                for trial_id in self.rows.trials.where("status", RUNNING):
                    self._note(trial_id, f"interrupted: {DRIVER_DIED}")
        self.rows.apply(event)

    def history(self, trial_id: str) -> Sequence[Change]:
        """How the trial's status changed, oldest first."""
        return tuple(self._histories.get(trial_id, ()))

    def _note_status(self, trial_id: str, values: Mapping[str, Any]) -> None:
        attempts = values.get("attempts")
        if attempts is not None and attempts != self._attempts.get(trial_id):
            self._attempts[trial_id] = attempts
            self._note(trial_id, "started" if attempts == 1 else f"started again, attempt {attempts}")
        status = values.get("status")
        if status is not None and status != RUNNING:
            reason = values.get("status_reason")
            self._note(trial_id, f"{status}: {reason}" if reason else status)

    def _note(self, trial_id: str, text: str) -> None:
        self._histories.setdefault(trial_id, []).append(Change(self._reached.get(trial_id, 0), text))
