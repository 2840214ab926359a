"""What every optimizer's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from cifar_tune.schema import NonNegative, Positive, Strict

if TYPE_CHECKING:
    import torch
    from torch import nn


class Optimizer(Strict):
    """An update rule by name and its options."""

    lr: Positive
    """Peak learning rate; the schedule scales it."""
    weight_decay: NonNegative = 0.0
    decay_norms_and_biases: bool = True
    """False leaves parameters of fewer than two dimensions without weight decay."""

    @abstractmethod
    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Returns the optimizer over the model's parameters, fused or foreach where torch has it."""

    def groups(self, model: nn.Module) -> list[dict[str, object]]:
        """Returns parameter groups with the weight decay of each."""
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self.decay_norms_and_biases:
            return [{"params": parameters, "weight_decay": self.weight_decay}]
        return [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
