"""In which environments trials are computed, and when bits are not what they would have been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.training.reproducibility import ComputeEnvironment, why_bits_differ


class TrialEnvironments:
    """Keeps them in the table, and a line for each reason why a trial does not repeat bits."""

    def __init__(self, store: ResultsStore) -> None:
        self._store = store
        self._lines: list[str] = []
        self._reasons: set[str] = set()

    def wanted(self, proposal: Proposal) -> ComputeEnvironment | None:
        """Returns where the trial was computed before, or is best computed; None if anywhere will do."""
        return self._of_row(proposal) or proposal.environment

    def record(self, proposal: Proposal, facts: Mapping[str, Any]) -> None:
        """Writes down what a worker says of the trial and of the place where it trains."""
        goes_on = self._of_row(proposal) is not None
        before = self.wanted(proposal)
        self._store.update_trial(proposal.trial_id, **facts)
        now = self._of_row(proposal)
        if before is None or now is None:
            return
        why = why_bits_differ([before], now, deterministic=proposal.trial.deterministic)
        if why is not None and why not in self._reasons:
            self._reasons.add(why)
            earlier = "its first epochs were" if goes_on else "the trial of the search was"
            self._lines.append(f"{proposal.trial_id} is not computed bit for bit as {earlier}: {why}")

    def new_lines(self) -> list[str]:
        """Returns what the user should know and was not told yet, once for each reason."""
        lines, self._lines = self._lines, []
        return lines

    def _of_row(self, proposal: Proposal) -> ComputeEnvironment | None:
        return ComputeEnvironment.of_row(self._store.trial(proposal.trial_id))
