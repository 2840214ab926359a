"""What driver and worker tell each other: picklable records that need neither torch nor Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cifar_tune.execution.cluster.devices import TrialResources
from cifar_tune.training.metrics import EpochMetrics

MESSAGE = "message"
"""The one key of ours in the configurations and results that Ray carries."""


@dataclass(frozen=True)
class Assignment:
    """One trial for a worker. root: of the data. checkpoints: the trial's own folder or address. device: torch's name.

    opens_test: whether the trial, once trained, is scored on the test split; only for confirmations.
    begins_after: the epoch of the checkpoint of another trial that it begins from; 0 with fresh weights.
    """

    trial_id: str
    trial_json: str
    root: str
    checkpoints: str
    device: str
    resources: TrialResources
    opens_test: bool = False
    begins_after: int = 0

    def __str__(self) -> str:
        return self.trial_id


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch. facts: what is known of the trial and its place (columns of trials.parquet), sent once."""

    metrics: EpochMetrics
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """The trial trains no further. reason: a sentence. error: the traceback of a trial that raised.

    surroundings: it raised because data, storage, disk or network failed, which says nothing of the configuration.
    """

    status: Literal["completed", "diverged", "failed", "out_of_memory", "surroundings"]
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Trained:
    """The trial has trained to its end and waits for leave to open the test split."""


@dataclass(frozen=True)
class Scored:
    """What the test split gave. images: how many it has."""

    accuracy: float
    loss: float
    images: int | None = None


Message = EpochReport | Trained | Scored | Ending
