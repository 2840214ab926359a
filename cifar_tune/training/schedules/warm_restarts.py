"""Cosine decay with warm restarts."""

from __future__ import annotations

import math
from typing import Literal

from cifar_tune.schema import Count, Fraction
from cifar_tune.training.schedules.schedule import Schedule, Setting


class WarmRestarts(Schedule):
    """Cosine decay from the lr to `final` times the lr, begun again after every period.

    Equals torch.optim.lr_scheduler.CosineAnnealingWarmRestarts. Source: Loshchilov and Hutter 2017 (arXiv:1608.03983,
    eq. 5).
    """

    name: Literal["warm_restarts"] = "warm_restarts"
    period_epochs: Count = 10
    """Length of the first period; the paper's T_0."""
    period_factor: Count = 1
    """Each period is so many times as long as the one before; the paper's T_mult."""
    final: Fraction = 0.0

    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        period = self.period_epochs * steps_per_epoch
        if self.period_factor == 1:
            step %= period
        while step >= period:
            step -= period
            period *= self.period_factor
        return Setting(self.final + (1 - self.final) * (1 + math.cos(math.pi * step / period)) / 2)
