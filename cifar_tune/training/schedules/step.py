"""Decay in steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cifar_tune.schema import Count, ListOf
from cifar_tune.training.schedules.schedule import Schedule, Setting

DEFAULT_EVERY = 30
"""As in torchvision's reference training of ResNets."""


class Step(Schedule):
    """Multiplies the lr by `gamma` after every so many epochs, or after the epochs listed.

    Epochs count from the start of the training, warm-up included. Equals torch.optim.lr_scheduler.StepLR and
    MultiStepLR.
    """

    name: Literal["step"] = "step"
    every: Count = DEFAULT_EVERY
    milestones: ListOf[Count] = ()
    """Finished epochs after which the lr falls, in rising order, in place of `every`."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _milestones_rise_alone(self) -> Step:
        if self.milestones and self.every != DEFAULT_EVERY:
            raise ValueError("every has no effect with milestones; leave it out")
        if any(later <= earlier for earlier, later in zip(self.milestones, self.milestones[1:], strict=False)):
            raise ValueError(f"milestones must rise: {', '.join(map(str, self.milestones))}")
        return self

    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        finished = (step + self.warmup_steps(steps_per_epoch)) // steps_per_epoch
        past = [milestone for milestone in self.milestones if milestone <= finished]
        return Setting(self.gamma ** (len(past) if self.milestones else finished // self.every))
