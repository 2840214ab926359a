"""Whether a proposed trial keeps to the sweep's constraints, as far as that can be counted before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Generic

from cifar_tune.config.constraints import Constraints
from cifar_tune.config.samplers import Random
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.search.source import TrialT
from cifar_tune.search.studies.studies import Study
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models import AnyModel
from cifar_tune.training.trial import TrialConfig

PEAK_MEMORY = "peak_memory_bytes"
"""The one constraint that only training tells."""

PLANNED_DRAWS = 64
"""Random proposals by which a plan estimates how many are refused: to 6 % of them."""


NOTHING: Mapping[str, float] = {}
"""What is measured, and broken, where nothing is limited; one for all trials."""


class Unlimited(Generic[TrialT]):
    """What holds where a sweep has no constraints."""

    def measured(self, trial: TrialT) -> Mapping[str, float]:
        """Returns nothing."""
        return NOTHING

    def constraint_violations(self, measured: Mapping[str, float]) -> Mapping[str, float]:
        """Returns nothing."""
        return NOTHING

    def broken(self, measured: Mapping[str, float]) -> str | None:
        """Returns that nothing is broken."""
        return None


class Limited(Unlimited[TrialConfig]):
    """A sweep's constraints. Imports torch when it first counts."""

    def __init__(self, constraints: Constraints, root: Path) -> None:
        """root: of the data."""
        self._constraints = constraints
        self._info = cache(lambda dataset: dataset.info(root))

    def measured(self, trial: TrialConfig) -> dict[str, float]:
        """Returns what the constraints limit and the table will say of the trial, by column, without peak memory."""
        info = self._info(trial.dataset)
        names = {name for name, _ in self._constraints.limits()} - {PEAK_MEMORY}
        return {name: _COUNTS[name](trial.model, info) for name in sorted(names)}

    def constraint_violations(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Returns for each constraint by what share of its limit it is broken; 0 for what is not measured."""
        return self._constraints.constraint_violations(measured)

    def broken(self, measured: Mapping[str, float]) -> str | None:
        """Returns which constraint is broken, with value and limit; None where all are kept."""
        return self._constraints.broken(measured)


@lru_cache(maxsize=4096)
def _parameters(model: AnyModel, info: DatasetInfo) -> float:
    from cifar_tune.training.flops import count_trainable_parameters

    return float(count_trainable_parameters(model, info))


@lru_cache(maxsize=4096)
def _flops(model: AnyModel, info: DatasetInfo) -> float:
    from cifar_tune.training.flops import count_flops

    return float(count_flops(model, info))


_COUNTS = {"num_parameters": _parameters, "flops_per_image": _flops}


def limits_of(sweep: SweepConfig, root: Path) -> Unlimited[TrialConfig]:
    """Returns what tells whether a trial keeps to the sweep's constraints. root: of the data."""
    return Unlimited() if sweep.constraints is None else Limited(sweep.constraints, root)


def check_constraints(sweep: SweepConfig, root: Path) -> None:
    """Returns if the baseline keeps to the constraints in every cell of the grid, which is where each study begins.

    Raises:
        ConfigError: with one problem for each cell where it does not.
    """
    limits = limits_of(sweep, root)
    problems = []
    for cell in sweep.cells():
        if broken := limits.broken(limits.measured(sweep.trial_with(cell))):
            where = f" with {', '.join(f'{path} = {value}' for path, value in cell.items())}" if cell else ""
            message = f"the baseline{where} breaks them, and every study begins with it: {broken}"
            problems.append(Problem("", None, None, "constraints", message))
    if problems:
        raise ConfigError(problems)


def refused_share(sweep: SweepConfig, root: Path) -> float:
    """Returns the share of random proposals, spread over the cells, that the constraints refuse before training."""
    limits = limits_of(sweep, root)
    cells = sweep.cells()
    refused = 0
    for number in range(PLANNED_DRAWS):
        cell = cells[number * len(cells) // PLANNED_DRAWS]
        study = Study(cell, search=sweep.search, sampler=Random(), seed=number, epochs=sweep.trial.epochs)
        try:
            trial = sweep.trial_with({**cell, **study.values(study.ask())})
        except ConfigError:
            refused += 1
        else:
            refused += limits.broken(limits.measured(trial)) is not None
    return refused / PLANNED_DRAWS
