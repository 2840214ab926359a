"""Adam."""

from __future__ import annotations

from typing import Literal

from cifar_tune.schema import OpenFraction, Positive
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Group, Optimizer


class Adam(Optimizer):
    """Adam, with weight decay added to the gradient. Source: Kingma and Ba 2015 (arXiv:1412.6980)."""

    name: Literal["adam"] = "adam"
    beta1: OpenFraction = 0.9
    beta2: OpenFraction = 0.999
    eps: Positive = 1e-8

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(groups, betas=betas, eps=self.eps, fused=True)
