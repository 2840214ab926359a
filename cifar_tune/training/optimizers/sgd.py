"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import OpenFraction
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from torch import nn


class Sgd(Optimizer):
    """SGD, by default with Nesterov's momentum."""

    name: Literal["sgd"] = "sgd"
    momentum: OpenFraction = 0.9
    nesterov: bool = True

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        nesterov = self.nesterov and self.momentum > 0
        return torch.optim.SGD(self.groups(model), lr=self.lr, momentum=self.momentum, nesterov=nesterov, foreach=True)
