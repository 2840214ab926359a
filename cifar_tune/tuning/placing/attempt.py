"""A trial on its way to a worker, and at one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cifar_tune.tuning.placing.ladder import NONE, Relief
from cifar_tune.tuning.search.proposal import Proposal


@dataclass
class Attempt:
    """A trial that a worker has, is about to get, or that waits for a place.

    attempts, seconds_before, gpu_seconds: what the table knows of it. began: when its first worker here did.
    held: since when it has its place. at_work: a worker has begun it there. steps: what was tried for want of memory.
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
    relief: Relief = NONE
    steps: tuple[str, ...] = ()

    def seconds_in_all(self) -> float:
        """Returns the wall time since its first start, without the time when no driver was at work."""
        return self.seconds_before + (0.0 if self.began is None else time.monotonic() - self.began)
