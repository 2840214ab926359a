"""What every schedule offers: the learning rate as a pure function of the step."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from cifar_tune.schema import Fraction, NonNegative, Strict


@dataclass(frozen=True)
class Setting:
    """What a schedule asks for at one step.

    lr_factor: multiplies the optimizer's lr. momentum: replaces the optimizer's momentum (or beta1); None leaves it.
    """

    lr_factor: float
    momentum: float | None = None


class Schedule(Strict):
    """A learning-rate schedule by name and its options."""

    warmup_epochs: NonNegative = 0.0
    """Epochs of linear rise from `warmup_start` times the lr; the schedule proper fills what is left."""
    warmup_start: Fraction = 0.1

    def at(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        """Returns the setting of optimizer step `step`, 0 <= step < total_steps.

        The warm-up equals torch.optim.lr_scheduler.LinearLR. It takes the whole training where it is longer than that.
        """
        warmup_steps = self.warmup_steps(steps_per_epoch)
        if step < warmup_steps:
            start = self.shape(0, max(1, total_steps - warmup_steps), steps_per_epoch)
            rise = self.warmup_start + (1 - self.warmup_start) * step / warmup_steps
            return Setting(start.lr_factor * rise, start.momentum)
        return self.shape(step - warmup_steps, total_steps - warmup_steps, steps_per_epoch)

    def warmup_steps(self, steps_per_epoch: int) -> int:
        """Returns the number of optimizer steps in the warm-up."""
        return round(self.warmup_epochs * steps_per_epoch)

    @abstractmethod
    def shape(self, step: int, total_steps: int, steps_per_epoch: int) -> Setting:
        """Returns the setting after warm-up; `step` and `total_steps` count from the end of the warm-up."""
