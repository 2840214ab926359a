"""Decay in steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cifar_tune.schema import Count, ListOf
from cifar_tune.training.schedules.schedule import Schedule, Setting


class Step(Schedule):
    """Multiplies the lr by `gamma` after every so many epochs, or after the epochs listed.

    Epochs count from the start of the training, warm-up included. Equals torch.optim.lr_scheduler.StepLR and
    MultiStepLR.
    """

    name: Literal["step"] = "step"
    every: Count | None = None
    milestones: ListOf[Count] = ()
    """Finished epochs after which the lr falls, in rising order."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _one_of_two(self) -> Step:
        if (self.every is None) == (not self.milestones):
            raise ValueError("schedule step takes exactly one of `every` and `milestones`")
        if any(later <= earlier for earlier, later in zip(self.milestones, self.milestones[1:], strict=False)):
            raise ValueError(f"milestones must rise: {', '.join(map(str, self.milestones))}")
        return self

    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        finished = (step + self.warmup_steps(steps_per_epoch)) // steps_per_epoch
        falls = finished // self.every if self.every else sum(milestone <= finished for milestone in self.milestones)
        return Setting(self.gamma**falls)
