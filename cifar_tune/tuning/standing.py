"""How far a sweep has come, and the best of it so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_tune.config.domains import ChoiceDomain
from cifar_tune.config.rendering import flatten
from cifar_tune.results.columns import RUNNING
from cifar_tune.tuning.proposal import Proposal
from cifar_tune.tuning.source import Source


@dataclass(frozen=True)
class BestTrial:
    """The best validated epoch so far, of any trial. values: what the sweep varies, by dotted path."""

    trial_id: str
    value: float
    epoch: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class SearchProgress:
    """Where a sweep stands. planned: trials in all. counts: trials by status. epochs: reported by all trials."""

    planned: int
    counts: Mapping[str, int]
    epochs: int
    best: BestTrial | None


class Standing:
    """Counts a sweep's epochs and ends, and keeps its best trial."""

    def __init__(self, sweep: Source[Any]) -> None:
        self._planned = sweep.trials_per_study * len(sweep.cells())
        self._sign = 1 if sweep.objective.mode == "max" else -1
        self._varied = varied_paths(sweep)
        self._counts: Counter[str] = Counter()
        self._epochs = 0
        self._best: BestTrial | None = None

    def trained(self, proposal: Proposal[Any], epoch: int, value: float | None) -> None:
        """Takes in an epoch; None where it was not validated."""
        self._epochs += 1
        if value is not None and (self._best is None or self._sign * value > self._sign * self._best.value):
            flat = flatten(proposal.trial)
            varied = {path: flat[path] for path in self._varied if flat.get(path) is not None}
            self._best = BestTrial(proposal.trial_id, value, epoch, varied)

    def ended(self, status: str) -> None:
        """Takes in the end of a trial."""
        self._counts[status] += 1

    def progress(self, running: int) -> SearchProgress:
        """Returns where the sweep stands."""
        return SearchProgress(self._planned, {RUNNING: running, **self._counts}, self._epochs, self._best)


def varied_paths(sweep: Source[Any]) -> tuple[str, ...]:
    """Returns the paths of what differs between the sweep's trials; a component counts by its name."""
    inside = [
        f"{path}.{inner}" if inner else path
        for path, domain in sweep.search.items()
        if isinstance(domain, ChoiceDomain)
        for option in domain.options.values()
        for inner in option.domains
    ]
    outside = [one for path in (*sweep.grid, *sweep.search) for one in (path, f"{path}.name")]
    return tuple(dict.fromkeys(outside + inside))
