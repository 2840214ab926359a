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
    convolutions. The model's output layers and everything else follow `rest`. The orthogonal update has singular values
    near 1, and is multiplied by lr * sqrt(max(1, outputs / inputs)): Jordan's factor, `adjust_lr_fn="original"` of
    torch.optim.Muon. It is not Moonshot's 0.2 * sqrt(max(outputs, inputs)), so learning rates of AdamW do not carry
    over. Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
    (kellerjordan.github.io/posts/muon).
    """

    name: Literal["muon"] = "muon"
    momentum: OpenFraction = 0.95
    nesterov: bool = True
    iterations: Count = 5
    """Newton-Schulz iterations towards the orthogonal matrix."""
    rest: Annotated[AdamW | Sgd, Field(discriminator="name")] = AdamW(lr=3e-4, beta2=0.95)
    """Of the other parameters, with a peak learning rate of its own."""

    def groups(self, model: nn.Module, output_layers: tuple[str, ...]) -> list[Group]:
        matrices = _hidden_matrices(model, output_layers)
        hidden = {id(matrix) for matrix in matrices}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in hidden]
        return [{**group, "orthogonal": True} for group in self.split(matrices)] + self.rest.split(others)

    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        from cifar_tune.training.updates.muon import MuonUpdate

        options = {"momentum": self.momentum, "nesterov": self.nesterov, "iterations": self.iterations}
        orthogonal = [{**group, **options} for group in groups if "orthogonal" in group]
        rest = self.rest.rule([group for group in groups if "orthogonal" not in group])
        return MuonUpdate(orthogonal, rest)


def _hidden_matrices(model: nn.Module, output_layers: tuple[str, ...]) -> list[nn.Parameter]:
    """Returns the trainable weights of linear layers and ungrouped convolutions, those of the output layers aside."""
    weights: list[nn.Parameter] = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) or (isinstance(module, torch.nn.Conv2d) and module.groups == 1):
            assert isinstance(module.weight, torch.nn.Parameter)
            if module.weight.requires_grad and not f"{name}.weight".startswith(output_layers):
                weights.append(module.weight)
    return weights
