"""RMSprop."""

from __future__ import annotations

from typing import Literal

from cifar_tune.schema import OpenFraction, Positive
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.optimizer import Group, Optimizer


class RmsProp(Optimizer):
    """RMSprop, with weight decay added to the gradient. Source: Tieleman and Hinton 2012 (Coursera, lecture 6.5)."""

    name: Literal["rmsprop"] = "rmsprop"
    alpha: OpenFraction = 0.99
    """Share of the mean square that each step keeps."""
    momentum: OpenFraction = 0.0
    eps: Positive = 1e-8

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(groups, alpha=self.alpha, momentum=self.momentum, eps=self.eps, foreach=True)
