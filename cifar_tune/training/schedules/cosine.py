"""Cosine decay."""

from __future__ import annotations

import math
from typing import Literal

from cifar_tune.schema import Fraction
from cifar_tune.training.schedules.schedule import Schedule, Setting


class Cosine(Schedule):
    """Half a cosine from the lr to `final` times the lr.

    Equals torch.optim.lr_scheduler.CosineAnnealingLR. Source: Loshchilov and Hutter 2017 (arXiv:1608.03983, eq. 5).
    """

    name: Literal["cosine"] = "cosine"
    final: Fraction = 0.0

    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        return Setting(self.final + (1 - self.final) * (1 + math.cos(math.pi * step / total_steps)) / 2)
