"""What a search needs around it: a sweep to make trials of, and a record to keep them in.

`SweepConfig` and `ResultsStore` are what a real sweep has; `simulation` replays recorded runs without either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from typing_extensions import TypeVar

from cifar_tune.config.domains import Domain
from cifar_tune.config.objective import Objective
from cifar_tune.config.samplers import AnySampler
from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.config.stop_rules import StopRules
from cifar_tune.schema import Count, Strict
from cifar_tune.training.trial import TrialConfig


class RecordedTrial(Strict):
    """A trial that was run before: the run's place among the recorded ones, and how many epochs a whole trial has."""

    run: int
    epochs: Count
    seed: int = 0


TrialT = TypeVar("TrialT", bound=TrialConfig | RecordedTrial, default=TrialConfig)
TrialT_co = TypeVar("TrialT_co", bound=TrialConfig | RecordedTrial, default=TrialConfig, covariant=True)


class Source(Protocol[TrialT_co]):
    """A search space, and the trials that its points make."""

    @property
    def seed(self) -> int: ...
    @property
    def trial(self) -> TrialT_co: ...
    @property
    def grid(self) -> Mapping[str, Any]: ...
    @property
    def search(self) -> Mapping[str, Domain]: ...
    @property
    def objectives(self) -> Sequence[Objective]: ...
    @property
    def sampler(self) -> AnySampler: ...
    @property
    def scheduler(self) -> AnyScheduler: ...
    @property
    def share_studies(self) -> bool: ...
    @property
    def stop(self) -> StopRules: ...
    @property
    def trials_per_study(self) -> int: ...

    def cells(self) -> Sequence[Mapping[str, Any]]:
        """Returns every combination of the grid."""

    def trial_with(self, values: Mapping[str, Any], seed: int | None = None) -> TrialT_co:
        """Returns the trial of these values. Raises ConfigError where they make none."""

    def baseline_point(self, cell: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Returns the answers that propose the baseline, as far as there are any; None where there is no baseline."""


class Record(Protocol):
    """Where trials and epochs are written down, and found again."""

    def update_trial(
        self, trial_id: str, *, configuration: Mapping[str, object] | None = None, **values: object
    ) -> None: ...
    def add_epoch(self, trial_id: str, epoch: int, **values: object) -> bool: ...
    def note(self, kind: str, **payload: object) -> None: ...
    def notes(self, kind: str) -> Iterator[dict[str, Any]]: ...
    def trial(self, trial_id: str) -> dict[str, Any]: ...
    def trial_ids(self) -> list[str]: ...
    def epochs(self, trial_id: str) -> list[dict[str, Any]]: ...
