"""When a trial is stopped: pure bookkeeping of values by epoch, one scheduler a study."""

from __future__ import annotations

from collections.abc import Sequence

from cifar_tune.config.schedulers import (
    AnyScheduler,
    Asha,
    AshaPromotion,
    Hyperband,
    MedianStopping,
    NoScheduler,
    Pbt,
)
from cifar_tune.search.schedulers.asha import AshaStopping
from cifar_tune.search.schedulers.asha_promotion import Promotion
from cifar_tune.search.schedulers.hyperband import Brackets
from cifar_tune.search.schedulers.median import Median
from cifar_tune.search.schedulers.none import EveryEpoch
from cifar_tune.search.schedulers.pareto import ParetoAsha
from cifar_tune.search.schedulers.population import Population
from cifar_tune.search.schedulers.scheduler import Replacement, Scheduler

__all__ = ["Replacement", "Scheduler", "build_scheduler"]


def build_scheduler(config: AnyScheduler, *, epochs: int, signs: Sequence[int], seed: int) -> Scheduler:
    """Returns the scheduler of one study.

    epochs: of a whole trial. signs: of each objective 1 where higher is better, else -1.
    """
    if len(signs) > 1 and isinstance(config, Asha):
        return ParetoAsha(config, epochs, signs, seed)
    (sign, *_) = signs
    match config:
        case Asha():
            return AshaStopping(config, epochs, sign, seed)
        case AshaPromotion():
            return Promotion(config, epochs, sign)
        case Hyperband():
            return Brackets(config, epochs, sign)
        case MedianStopping():
            return Median(config, epochs, sign)
        case Pbt():
            return Population(config, epochs, sign, seed)
        case NoScheduler():
            return EveryEpoch()
