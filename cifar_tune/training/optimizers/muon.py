"""Muon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cifar_tune.schema import Count, OpenFraction
from cifar_tune.training.lazy import torch
from cifar_tune.training.optimizers.adamw import AdamW
from cifar_tune.training.optimizers.optimizer import Group, Optimizer
from cifar_tune.training.optimizers.sgd import Sgd

if TYPE_CHECKING:
    from torch import nn


class Muon(Optimizer):
    """Muon: SGD with momentum whose update of each weight matrix is made orthogonal; weight decay is decoupled.

    Matrices are the weights of linear layers and, flattened to (outputs, inputs x height x width), of ungrouped
    convolutions. The last of them, the classifier, and everything else follow `rest`. Source: Jordan et al. 2024,
    "Muon: An optimizer for hidden layers in neural networks" (kellerjordan.github.io/posts/muon).
    """

    name: Literal["muon"] = "muon"
    momentum: OpenFraction = 0.95
    nesterov: bool = True
    iterations: Count = 5
    """Newton-Schulz iterations towards the orthogonal matrix."""
    rest: Annotated[AdamW | Sgd, Field(discriminator="name")] = AdamW(lr=3e-4, beta2=0.95)
    """Of the other parameters, with a peak learning rate of its own."""

    def groups(self, model: nn.Module) -> list[Group]:
        matrices = _hidden_matrices(model)
        hidden = {id(matrix) for matrix in matrices}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in hidden]
        return [{**group, "orthogonal": True} for group in self.split(matrices)] + self.rest.split(others)

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        from cifar_tune.training.updates.muon import MuonUpdate

        options = {"momentum": self.momentum, "nesterov": self.nesterov, "iterations": self.iterations}
        orthogonal = [{**group, **options} for group in groups if "orthogonal" in group]
        rest = self.rest.rule([group for group in groups if "orthogonal" not in group])
        return MuonUpdate(orthogonal, rest)


def _hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Returns the weights of linear layers and ungrouped convolutions, all but the last."""
    weights: list[nn.Parameter] = []
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) or (isinstance(module, torch.nn.Conv2d) and module.groups == 1):
            assert isinstance(module.weight, torch.nn.Parameter)
            weights.append(module.weight)
    return [weight for weight in weights[:-1] if weight.requires_grad]
