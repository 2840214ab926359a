"""Opens the test split for a trained model as it stands, and keeps confirmations.parquet right. No Ray here.

The ledger is that of the retrainings, in the folder `confirm` of the results folder. It says of each model, in this
order: that it is planned, that the test split is being opened for it, what the test gave, that it is completed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tune.config.rendering import flatten
from cifar_tune.layout import CONFIRM_FOLDER, CONFIRMATIONS_NAME, LEDGER_NAME, TRIALS_NAME
from cifar_tune.results.columns import COMPLETED, RUNNING, TRAIN, TRAIN_AND_VALIDATION
from cifar_tune.results.confirmations import OPENED, PLANNED, SCORED, ConfirmationsFile, last_opening, retrainings_store
from cifar_tune.results.ledger import events
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.candidates import configuration_text
from cifar_tune.search.schedulers.decision import CONTINUE
from cifar_tune.training.checkpoint import Checkpoint, TrainedModel
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.storage import trial_folder

if TYPE_CHECKING:
    import torch

    from cifar_tune.training.data import ImageSource


@dataclass(frozen=True)
class Home:
    """Where the openings for a checkpoint are written down. trial_id: as the table calls the model.

    retraining: the name of the retraining by `confirm` that it is a checkpoint of.
    """

    folder: Path
    trial_id: str
    retraining: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the table says already. summary: every figure that `evaluate` had then; `confirm` has accuracy and loss."""

    summary: Mapping[str, float]
    opened_at: str
    reason: str
    openings: int


def home_of(checkpoint: Path) -> Home:
    """Returns the results folder of a trial of a sweep; for any other model the folder that it is in."""
    trial = trial_folder(checkpoint.resolve())
    base = trial.parent.parent
    if trial.parent.name == "checkpoints" and (base / TRIALS_NAME).is_file():
        if base.name == CONFIRM_FOLDER:
            return Home(base.parent, trial.name, retraining=trial.name)
        return Home(base, trial.name)
    return Home(trial, trial.name)


class Evaluating:
    """One model, and what is written of it. Use `evaluating`."""

    def __init__(self, store: ResultsStore, home: Home, model: TrainedModel) -> None:
        self._store, self._home, self._model = store, home, model
        self._file = ConfirmationsFile(home.folder)
        self.table = home.folder / CONFIRMATIONS_NAME
        self._name = self._retraining() or f"{home.trial_id}-{model.digest[:12]}"

    @property
    def answer(self) -> Answer | None:
        """What the test split gave for these weights, if it was opened for them before."""
        told = ((one["kind"], one["payload"]) for one in events(self._store.folder / LEDGER_NAME, kind="note"))
        notes = [(kind, note) for kind, note in told if note.get("trial_id") == self._name]
        opening, score = last_opening(notes)
        if not score:
            return None
        figures = {"accuracy": score["test_accuracy"], "loss": score["test_loss"]}
        reason = opening.get("reason") or self._planned[0]["reason"]
        openings = sum(kind == OPENED for kind, _ in notes)
        return Answer(score.get("summary") or figures, opening["opened_at"], reason, openings)

    def open_test_split(self, root: Path, device: torch.device, *, reason: str, commit: str | None) -> ImageSource:
        """Writes down that the test split is opened, then opens it.

        Raises:
            ResultsError: it could not be written down.
            DatasetError: a file of the test split is missing or corrupt.
        """
        from cifar_tune.training.sealed import open_test_split

        dataset = self._model.trial.dataset
        dataset.verify(root, "test")
        if self.answer is None:
            self._begin(reason)
        opened_at = datetime.now(UTC).isoformat()
        self._store.note(OPENED, trial_id=self._name, opened_at=opened_at, commit=commit, reason=reason)
        self._store.secure()
        self._file.publish()
        return open_test_split(dataset, root, device)

    def score(self, summary: Mapping[str, float]) -> None:
        """Writes down what the test split gave."""
        self._store.note(
            SCORED,
            trial_id=self._name,
            test_accuracy=summary["accuracy"],
            test_loss=summary["loss"],
            test_images=int(summary["images"]),
            summary=dict(summary),
        )
        self._store.update_trial(self._name, status=COMPLETED, status_reason=None)
        self._file.publish()

    def _begin(self, reason: str) -> None:
        """Writes down what of the plan, the row and its epochs is not there yet: a process may die between them."""
        trial, home = self._model.trial, self._home
        held_out = trial.dataset.validation_fraction > 0
        if not self._planned:
            self._store.note(
                PLANNED,
                trial_id=self._name,
                source=home.trial_id if home.retraining is None else self._source(home.retraining),
                configuration=configuration_text(trial),
                seed=trial.seed,
                trained_on=TRAIN if held_out else TRAIN_AND_VALIDATION,
                retrained=False,
                reason=reason,
            )
        if self._name not in self._store.trial_ids():
            self._store.update_trial(
                self._name,
                configuration=flatten(trial),
                seed=trial.seed,
                baseline=False,
                status=RUNNING,
                checkpoint=os.path.relpath(self._model.folder.resolve(), home.folder.resolve() / CONFIRM_FOLDER),
            )
        for metrics in self._history:
            self._store.add_epoch(self._name, decision=CONTINUE.action, **asdict(metrics))

    @property
    def _history(self) -> list[EpochMetrics]:
        """The epochs that a checkpoint tells of; an exported model tells of none."""
        return self._model.history if isinstance(self._model, Checkpoint) else []

    @property
    def _planned(self) -> list[dict[str, Any]]:
        return [note for note in self._store.notes(PLANNED) if note["trial_id"] == self._name]

    def _retraining(self) -> str | None:
        """The retraining that these are the final weights of: those that `confirm` scored."""
        name = self._home.retraining
        if name is None or name not in self._store.trial_ids():
            return None
        trained: int = self._store.trial(name)["epochs_trained"]
        return name if trained == len(self._history) else None

    def _source(self, retraining: str) -> str:
        return next((n["source"] for n in self._store.notes(PLANNED) if n["trial_id"] == retraining), retraining)


@contextmanager
def evaluating(model: TrainedModel) -> Iterator[Evaluating]:
    """Yields what is written of a model, and may be.

    Raises:
        ResultsError: another `confirm` or `evaluate` is at work in the folder, or it cannot be written to.
    """
    home = home_of(model.folder)
    with retrainings_store(home.folder, _sweep_name(home.folder)) as store:
        yield Evaluating(store, home, model)


def _sweep_name(folder: Path) -> str:
    path = folder / LEDGER_NAME
    return str(next(events(path))["sweep"]) if path.is_file() else folder.name
