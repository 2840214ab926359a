"""The one-cycle policy."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cifar_tune.schema import OpenFraction, Positive
from cifar_tune.training.schedules.schedule import Schedule, Setting


class OneCycle(Schedule):
    """Rises to the lr, then falls far below where it began, by cosine; momentum goes the other way.

    Equals torch.optim.lr_scheduler.OneCycleLR with max_lr = lr, but for trainings so short that the rise has less than
    one step: those begin at the peak. Source: Smith and Topin 2018 (arXiv:1708.07120).
    """

    name: Literal["onecycle"] = "onecycle"
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the steps before the peak."""
    start_divisor: Annotated[float, Field(ge=1)] = 25.0
    """lr / start_divisor is where it begins."""
    final_divisor: Positive = 1e4
    """lr / start_divisor / final_divisor is where it ends."""
    cycle_momentum: bool = True
    low_momentum: OpenFraction = 0.85
    high_momentum: OpenFraction = 0.95

    @model_validator(mode="after")
    def _ends_below_the_peak(self) -> OneCycle:
        if self.start_divisor * self.final_divisor < 1:
            raise ValueError("start_divisor times final_divisor is less than 1: the schedule would end above the lr")
        return self

    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        start = 1 / self.start_divisor
        peak_step = max(0.0, self.rise * total_steps - 1)
        if step < peak_step:
            share, factors, momenta = step / peak_step, (start, 1.0), (self.high_momentum, self.low_momentum)
        else:
            share = (step - peak_step) / ((total_steps - 1 - peak_step) or 1)
            factors, momenta = (1.0, start / self.final_divisor), (self.low_momentum, self.high_momentum)
        momentum = _between(*momenta, share) if self.cycle_momentum else None
        return Setting(_between(*factors, share), momentum)


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
