"""What hands out trials and learns what became of them: a search, or the retrainings of its best configurations."""

from __future__ import annotations

from typing import Any, Protocol

from cifar_tune.search.proposal import Proposal
from cifar_tune.search.schedulers.decision import Decision
from cifar_tune.search.sweep_progress import SearchProgress
from cifar_tune.training.metrics import EpochMetrics


class Proposer(Protocol):
    """See `Search`, whose methods these are."""

    @property
    def exhausted(self) -> bool: ...
    def unfinished(self) -> tuple[Proposal, ...]: ...
    def propose(self) -> Proposal | None: ...
    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision: ...
    def end(
        self, trial_id: str, status: str, reason: str | None = None, error: str | None = None, **times: Any
    ) -> None: ...
    def progress(self) -> SearchProgress: ...
