"""A trial on its way to a worker, and at one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_tune.execution.placement.oom_fallback import NONE, MemoryFallback
from cifar_tune.execution.surroundings import pause_seconds
from cifar_tune.search.proposal import Proposal


@dataclass
class Attempt:
    """A trial that a worker has, is about to get, or that waits for a place.

    attempts, seconds_before, gpu_seconds: what the table knows of it. began: when its first worker here did.
    held: since when it has its place. at_work: a worker has begun it there. steps: what was tried for want of memory.
    faults: of the surroundings, as the table knows. retry_at: not before. deaths: of workers, that count against it.
    seen: epochs that all trials had finished when it was first handed out, or when its worker last died.
    """

    proposal: Proposal
    attempts: int = 0
    seconds_before: float = 0.0
    gpu_seconds: float = 0.0
    began: float | None = None
    held: float = 0.0
    at_work: bool = False
    epoch: int = 0
    accuracy: float | None = None
    deaths: int = 0
    faults: int = 0
    retry_at: float = 0.0
    seen: int | None = None
    relief: MemoryFallback = NONE
    steps: tuple[str, ...] = ()

    @classmethod
    def of(cls, proposal: Proposal, row: Mapping[str, Any], note: Mapping[str, Any] | None) -> Attempt:
        """Returns the attempt that goes on from a row of the table, and from what `memory_note` kept."""
        note = note or {"parts": 1, "steps": ()}
        return cls(
            proposal,
            attempts=row["attempts"] or 0,
            seconds_before=row["wall_seconds"] or 0.0,
            gpu_seconds=row["gpu_seconds"] or 0.0,
            relief=MemoryFallback(parts=note["parts"], recompute=note.get("recompute", False)),
            steps=tuple(note["steps"]),
            faults=row["faults"] or 0,
        )

    def memory_note(self) -> dict[str, Any]:
        """Returns what the ledger keeps of what was tried for want of memory."""
        relief, trial_id = self.relief, self.proposal.trial_id
        return {"trial_id": trial_id, "parts": relief.parts, "recompute": relief.recompute, "steps": self.steps}

    def set_back(self, now: float) -> None:
        """Takes in a fault of the surroundings: the trial is not handed out again at once."""
        self.faults += 1
        self.retry_at = now + pause_seconds(self.faults)

    def seconds_in_all(self) -> float:
        """Returns the wall time since its first start, without the time when no driver was at work."""
        return self.seconds_before + (0.0 if self.began is None else time.monotonic() - self.began)

    def times(self) -> dict[str, Any]:
        """Returns what the table says of its time, by column."""
        return {"wall_seconds": self.seconds_in_all(), "gpu_seconds": self.gpu_seconds}
