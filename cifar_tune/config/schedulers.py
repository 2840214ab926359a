"""The schedulers that a sweep may name; `search` builds them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from cifar_tune.config.messages import Finding, found
from cifar_tune.schema import Count, Strict

Factor = Annotated[int, Field(ge=2)]
"""One trial in so many goes on."""


EARLIEST = 27
"""`asha_promotion` has its first rung at no less than one in so many of the epochs. Measured: docs/search.md."""


def tenth(epochs: int) -> int:
    """Returns a tenth of the epochs, at least one."""
    return max(1, epochs // 10)


def default_grace(scheduler: Mapping[str, Any], epochs: int, trials: int) -> int:
    """Returns the first rung of a sweep that does not say: a tenth of its epochs.

    With `asha_promotion`, which may still let a trial go on that was weak there, it is earlier: the earliest rung from
    which two trials come through to the end. scheduler: its name and reduction factor. trials: of a study.
    """
    factor = scheduler.get("reduction_factor", AshaPromotion().reduction_factor)
    if scheduler.get("name") != "asha_promotion" or not isinstance(factor, int) or factor < 2:
        return tenth(epochs)
    survivors_of = 1
    while survivors_of * factor <= min(EARLIEST, trials // 2):
        survivors_of *= factor
    return math.ceil(epochs / survivors_of)


def rungs(grace_epochs: int, reduction_factor: int, epochs: int) -> tuple[int, ...]:
    """Returns the epochs r * eta^k below R; at R a trial is complete, and nothing is left to stop."""
    found = []
    epoch = grace_epochs
    while epoch < epochs:
        found.append(epoch)
        epoch *= reduction_factor
    return tuple(found)


class Stopping(Strict):
    """What a scheduler has that stops trials at rungs, at once or by never letting a paused one go on."""

    audit_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    """Share of the trials to be stopped that run on to the end, to show what stopping costs; 0: none."""


class Unaudited(Strict):
    """What a scheduler has that keeps no trial from its end."""

    @model_validator(mode="before")
    @classmethod
    def _no_audit(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "audit_fraction" in data:
            told = f"{cls.model_fields['name'].default} {cls.audit_impossible}"
            message = f"{told}; allowed with asha, asha_promotion, hyperband, median: leave it out"
            raise found([Finding(("audit_fraction",), message, at_key=True)])
        return data

    audit_impossible: ClassVar[str]
    """Why there is nothing to audit."""


class Asha(Stopping):
    """Asynchronous successive halving, stopping variant. Source: Li et al. 2020 (arXiv:1810.05934)."""

    name: Literal["asha"] = "asha"
    grace_epochs: Count = 1
    """First rung: no trial is stopped before it. A sweep that does not say takes a tenth of its epochs."""
    reduction_factor: Factor = 3
    brackets: Count = 1
    """Groups that trials are drawn into; each has its first rung `reduction_factor` times as late as the one before."""


class AshaPromotion(Stopping):
    """Asynchronous successive halving as published: trials pause at a rung and go on once they are among its best.

    Source: Li et al. 2020 (arXiv:1810.05934, algorithm 2). What a sweep of one objective has unless it names another.
    """

    name: Literal["asha_promotion"] = "asha_promotion"
    grace_epochs: Count = 1
    """First rung. A sweep that does not say takes the earliest that leaves two trials at the end, 1/27 at least."""
    reduction_factor: Factor = 3


class Hyperband(Stopping):
    """Brackets of synchronous successive halving: a rung is decided when all of its trials have come.

    Source: Li et al. 2018 (arXiv:1603.06560, algorithm 1).
    """

    name: Literal["hyperband"] = "hyperband"
    grace_epochs: Count = 1
    """Fewest epochs of any trial. A sweep that does not say takes a tenth of its epochs."""
    reduction_factor: Factor = 3


class MedianStopping(Stopping):
    """Stops a trial whose best value is worse than the median of the others' averages up to the same epoch.

    Source: Golovin et al. 2017 (doi:10.1145/3097983.3098043, section 3.2.1).
    """

    name: Literal["median"] = "median"
    grace_epochs: Count = 1
    """No trial is stopped before it. A sweep that does not say takes a tenth of its epochs."""
    min_trials: Count = 5
    """Others that must have come as far before a trial is stopped."""


class Pbt(Unaudited):
    """Population based training: every `interval_epochs` the worst trials are replaced by perturbed copies of the best.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), truncation selection.
    """

    audit_impossible: ClassVar[str] = "replaces weak trials, and a copy trains on in the place of each"
    name: Literal["pbt"] = "pbt"
    population: Count | None = None
    """Trials that train side by side: those of a study. The same as `trials_per_study`, written here or there."""
    interval_epochs: Count = 1
    """Epochs between two comparisons. A sweep that does not say takes a tenth of its epochs."""
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of the population that is replaced, and share that it is replaced from."""


class NoScheduler(Unaudited):
    """Every trial runs to its last epoch."""

    audit_impossible: ClassVar[str] = "stops no trial"
    name: Literal["none"] = "none"


AnyScheduler = Annotated[
    Asha | AshaPromotion | Hyperband | MedianStopping | Pbt | NoScheduler, Field(discriminator="name")
]

WITH_GRACE = tuple(
    member.model_fields["name"].default
    for member in get_args(get_args(AnyScheduler)[0])
    if "grace_epochs" in member.model_fields
)
"""Names of the schedulers that have a grace period."""


def scheduler_findings(scheduler: Mapping[str, Any], epochs: int) -> Iterator[Finding]:
    """Yields what of a scheduler's values, sound by themselves or not, does not suit the epochs of a trial."""
    grace, brackets = scheduler.get("grace_epochs"), scheduler.get("brackets", 1)
    factor = scheduler.get("reduction_factor", Asha().reduction_factor)
    if not isinstance(grace, int) or grace < 1:
        return
    if grace > epochs:
        yield Finding(("scheduler", "grace_epochs"), f"must be at most trial.epochs, which is {epochs}, got {grace}")
    elif isinstance(brackets, int) and isinstance(factor, int) and factor >= 2:
        most = len(levels := rungs(grace, factor, epochs)) + 1
        told = f"rungs at epochs {', '.join(map(str, levels))}" if levels else "no rung"
        if brackets > most:
            message = f"must be at most {most}, one more than the rungs ({told}), got {brackets}"
            yield Finding(("scheduler", "brackets"), message)
