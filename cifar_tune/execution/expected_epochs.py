"""How many trials and epochs a sweep will train, as far as that can be known before it runs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from cifar_tune.config.schedulers import Asha, AshaPromotion, Hyperband, MedianStopping, NoScheduler, Pbt, rungs
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.remaining import Remaining
from cifar_tune.search.schedulers.asha import bracket_shares
from cifar_tune.search.schedulers.hyperband import fill
from cifar_tune.search.schedulers.population import replaced


@dataclass(frozen=True)
class Epochs:
    """Of all trials together. least: each ends at the first rung. likely: one in `reduction_factor` passes a rung."""

    least: int
    likely: int
    most: int


@dataclass(frozen=True)
class Halving:
    """A share of the trials, of which one in `factor` passes each rung."""

    share: float
    rungs: tuple[int, ...] = ()
    factor: int = 1

    def epochs(self, whole: int) -> float:
        """Returns the mean epochs of a trial; whole: of one that is never stopped."""
        stretches = [end - start for start, end in itertools.pairwise((0, *self.rungs, whole))]
        return sum(stretch * (1 / self.factor) ** passed for passed, stretch in enumerate(stretches))


def halvings(sweep: SweepConfig) -> tuple[Halving, ...]:
    """Returns how the scheduler will divide and thin out the trials; of the median rule, that half pass the grace."""
    match sweep.scheduler:
        case Asha(grace_epochs=grace, reduction_factor=factor, brackets=brackets):
            levels = rungs(grace, factor, sweep.trial.epochs)
            shares = bracket_shares(len(levels), factor, brackets)
            return tuple(Halving(share, levels[s:], factor) for s, share in enumerate(shares))
        case AshaPromotion(grace_epochs=grace, reduction_factor=factor):
            return (Halving(1.0, rungs(grace, factor, sweep.trial.epochs), factor),)
        case Hyperband():
            filled = fill(sweep.scheduler, sweep.trial.epochs, sweep.trials_per_study)
            whole = sweep.trials_per_study
            return tuple(Halving(held / whole, levels, sweep.scheduler.reduction_factor) for held, levels in filled)
        case MedianStopping(grace_epochs=grace):
            return (Halving(1.0, (grace,) if grace < sweep.trial.epochs else (), 2),)
        case Pbt(interval_epochs=interval):
            return (Halving(1.0, tuple(range(interval, sweep.trial.epochs, interval))),)
        case NoScheduler():
            return (Halving(1.0),)


def stopping_epochs(sweep: SweepConfig) -> tuple[int, ...]:
    """Returns the epochs at which weak trials are stopped."""
    return tuple(sorted({rung for halving in halvings(sweep) for rung in halving.rungs}))


def planned_epochs(sweep: SweepConfig, left: Remaining | None = None) -> Epochs:
    """Returns how many epochs the sweep will train, as far as that can be known before it runs.

    left: to train of a sweep that is there; None: all of it. What goes on is counted to its last epoch.
    """
    left = left or Remaining(planned_trials(sweep))
    trials, whole, further = left.new, sweep.trial.epochs, sum(left.going_on)
    parts = halvings(sweep)
    least = sum(part.share * (min((*part.rungs, whole)) if part.factor > 1 else whole) for part in parts)
    likely = sum(part.share * part.epochs(whole) for part in parts)
    least_further = min(further, len(left.going_on))
    return Epochs(round(trials * least) + least_further, round(trials * likely) + further, trials * whole + further)


def planned_trials(sweep: SweepConfig) -> int:
    """Returns the number of trials in all studies."""
    return len(sweep.cells()) * sweep.trials_per_study


def replacements(sweep: SweepConfig) -> int:
    """Returns the number of trials that take the places of others, beside those that are planned."""
    if not isinstance(sweep.scheduler, Pbt):
        return 0
    comparisons = len(range(sweep.scheduler.interval_epochs, sweep.trial.epochs, sweep.scheduler.interval_epochs))
    return comparisons * replaced(sweep.scheduler.quantile, sweep.trials_per_study) * len(sweep.cells())


def completed_share(sweep: SweepConfig) -> float:
    """Returns the share of the planned trials that come to their last epoch, if one in `reduction_factor` goes on."""
    return sum(part.share * (1 / part.factor) ** len(part.rungs) for part in halvings(sweep))
