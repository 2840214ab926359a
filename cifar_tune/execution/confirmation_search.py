"""Retrains given configurations, opens the test split once for each, keeps confirmations.parquet right. No Ray here.

The ledger of the retrainings says of each, in this order: that it is planned, its epochs, that the test split is being
opened for it, what the test gave, that it is completed. A driver killed at any moment goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from cifar_tune.config.rendering import flatten
from cifar_tune.execution.dispatcher import Dispatcher
from cifar_tune.execution.messages import Message, Scored, Trained
from cifar_tune.results.columns import COMPLETED, DIVERGED, INTERRUPTED, RUNNING
from cifar_tune.results.confirmations import OPENED, PLANNED, SCORED, ConfirmationsFile
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.candidates import Retraining
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.sweep_progress import SearchProgress
from cifar_tune.training.metrics import EpochMetrics

ANSWERED = (COMPLETED, DIVERGED)
"""Statuses that training again would only repeat."""


class Confirming:
    """Hands out retrainings that the table does not answer yet, those first that were begun.

    folder: of the sweep, where the table is kept. reason: what the test split is opened for, by source trial. commit:
    of the code that opens it.
    """

    def __init__(
        self,
        wanted: Iterable[Retraining],
        store: ResultsStore,
        folder: Path,
        *,
        reason: Mapping[str, str],
        commit: str | None,
    ) -> None:
        self._store, self._file = store, ConfirmationsFile(folder)
        self._reason, self._commit = reason, commit
        self._settle_scored()
        known = {
            (note["configuration"], note["seed"], note["trained_on"]): note["trial_id"]
            for note in store.notes(PLANNED)
            if note.get("retrained", True)
        }
        begun = set(store.trial_ids())
        self._proposals: dict[str, Proposal] = {}
        self._new: list[tuple[Proposal, Retraining]] = []
        self._counts: Counter[str] = Counter()
        self._epochs = 0
        for one in wanted:
            trial_id = known.get(one.key) or _trial_id(one)
            proposal = Proposal(trial_id, one.trained_on, one.trial, baseline=False, environment=one.environment)
            status = store.trial(trial_id)["status"] if trial_id in begun else None
            if status in ANSWERED:
                self._counts[status] += 1
            elif status is None:
                self._new.append((proposal, one))
            else:
                self._proposals[trial_id] = proposal
        self.answered = self._counts.total()
        """Retrainings that the table had before."""
        self._planned = self.answered + len(self._new) + len(self._proposals)
        self.publish()

    @property
    def exhausted(self) -> bool:
        """Whether all have been handed out, but for those that `unfinished` returns."""
        return not self._new

    def unfinished(self) -> tuple[Proposal, ...]:
        """Returns the retrainings that were begun and gave no score."""
        return tuple(self._proposals.values())

    def propose(self) -> Proposal | None:
        """Returns the next retraining; it is in ledger and table before it is returned."""
        if not self._new:
            return None
        proposal, one = self._new.pop(0)
        self._store.note(
            PLANNED,
            trial_id=proposal.trial_id,
            source=one.source,
            configuration=one.configuration,
            seed=one.trial.seed,
            trained_on=one.trained_on,
            reason=self._reason[one.source],
        )
        self._store.update_trial(
            proposal.trial_id,
            configuration=flatten(one.trial),
            study=one.trained_on,
            seed=one.trial.seed,
            baseline=False,
            status=RUNNING,
        )
        self._proposals[proposal.trial_id] = proposal
        self._file.publish()
        return proposal

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Records an epoch, once; every retraining goes on to its end."""
        self._store.add_epoch(trial_id, decision=CONTINUE.action, **asdict(metrics))
        self._epochs += 1
        return CONTINUE

    def open_test_split(self, trial_id: str) -> None:
        """Writes down that the test split is opened, before it is."""
        self._store.note(OPENED, trial_id=trial_id, opened_at=datetime.now(UTC).isoformat(), commit=self._commit)
        self._store.secure()
        self._file.publish()

    def score(self, trial_id: str, score: Scored) -> None:
        """Writes down what the test split gave."""
        self._store.note(
            SCORED,
            trial_id=trial_id,
            test_accuracy=score.accuracy,
            test_loss=score.loss,
            test_images=score.images,
        )

    def end(
        self, trial_id: str, status: str, reason: str | None = None, error: str | None = None, **times: Any
    ) -> None:
        """Records how a retraining ended. One that failed is tried again by the next driver."""
        self._store.update_trial(trial_id, status=status, status_reason=reason, error=error, **times)
        if status != INTERRUPTED:
            del self._proposals[trial_id]
            self._counts[status] += 1
        self._file.publish()

    def progress(self) -> SearchProgress:
        """Returns how far the retrainings have come."""
        return SearchProgress(self._planned, {RUNNING: len(self._proposals), **self._counts}, self._epochs, None)

    def publish(self) -> None:
        """Brings confirmations.parquet up to date."""
        self._file.publish()

    def _settle_scored(self) -> None:
        """Completes what a killed driver had the score of: the test split is not opened for it again."""
        for note in self._store.notes(SCORED):
            if self._store.trial(note["trial_id"])["status"] != COMPLETED:
                self._store.update_trial(note["trial_id"], status=COMPLETED, status_reason=None, error=None)


class ConfirmingDispatcher(Dispatcher):
    """Lets a retraining go on after its last epoch: it asks for the test split, is written down, and gives a score."""

    opens_test: ClassVar[bool] = True
    _search: Confirming

    def started(self, key: str) -> None:
        super().started(key)
        self._search.publish()

    def receive(self, key: str, message: Message) -> bool:
        """Records the message; returns whether the retraining goes on."""
        attempt = self.live.get(key)
        if attempt is None or not isinstance(message, Trained | Scored):
            return super().receive(key, message)
        trial_id = attempt.proposal.trial_id
        if isinstance(message, Trained):
            self._search.open_test_split(trial_id)
            return True
        self._search.score(trial_id, message)
        self._end(key, COMPLETED)
        return False

    def interrupt(self, reason: str) -> None:
        super().interrupt(reason)
        self._search.publish()


def _trial_id(one: Retraining) -> str:
    return f"{one.source}-{one.trained_on.replace('+', '-')}-seed{one.trial.seed}"
