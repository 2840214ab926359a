"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Literal

from cifar_tune.schema import OpenFraction
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Group, Optimizer


class Sgd(Optimizer):
    """SGD with decay added to the gradient, and by default Nesterov's momentum. Source: Sutskever et al. 2013."""

    name: Literal["sgd"] = "sgd"
    momentum: OpenFraction = 0.9
    nesterov: bool = True

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        nesterov = self.nesterov and self.momentum > 0
        optimizer = torch.optim.SGD(groups, momentum=self.momentum, nesterov=nesterov, fused=True)
        if self.momentum > 0:
            # torch leaves them as uninitialised memory where a loss scaler skips the first step.
            for parameter in (parameter for group in groups for parameter in group["params"]):
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return optimizer
