"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import OpenFraction, Positive
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from torch import nn


class AdamW(Optimizer):
    """AdamW. Source: Loshchilov and Hutter 2019 (arXiv:1711.05101)."""

    name: Literal["adamw"] = "adamw"
    beta1: OpenFraction = 0.9
    beta2: OpenFraction = 0.999
    eps: Positive = 1e-8

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.groups(model), lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, foreach=True)
