"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Literal

from cifar_tune.schema import OpenFraction, Positive
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Group, Optimizer


class AdamW(Optimizer):
    """AdamW: each step also shrinks the weights by lr times `weight_decay`.

    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """

    name: Literal["adamw"] = "adamw"
    beta1: OpenFraction = 0.9
    beta2: OpenFraction = 0.999
    eps: Positive = 1e-8

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(groups, betas=betas, eps=self.eps, fused=True)
