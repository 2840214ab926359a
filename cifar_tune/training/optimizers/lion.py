"""Lion."""

from __future__ import annotations

from typing import Literal

from cifar_tune.schema import OpenFraction
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Group, Optimizer


class Lion(Optimizer):
    """Lion: every weight moves by lr in the sign of an average gradient; weight decay is decoupled.

    Its lr is 3 to 10 times smaller than AdamW's, its weight decay as many times larger. Source: Chen et al. 2023
    (arXiv:2302.06675, algorithm 2 and sec. 5).
    """

    name: Literal["lion"] = "lion"
    beta1: OpenFraction = 0.9
    beta2: OpenFraction = 0.99

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        from cifar_tune.training.updates.lion import LionUpdate

        return LionUpdate(groups, betas=(self.beta1, self.beta2))
