"""One learning rate throughout."""

from __future__ import annotations

from typing import Literal

from cifar_tune.training.schedules.schedule import Schedule, Setting


class Constant(Schedule):
    """The lr at every step after the warm-up."""

    name: Literal["constant"] = "constant"

    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        return Setting(1.0)
