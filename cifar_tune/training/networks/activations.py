"""Activations by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from cifar_tune.training.models.mininet import Activation


class Serf(nn.Module):
    """x * erf(softplus(x)). Source: Nag et al. 2023 (arXiv:2108.09598, eq. 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.erf(F.softplus(x))


def activation(name: Activation) -> nn.Module:
    """Returns a new module; PReLU learns one slope, all others hold no parameter."""
    match name:
        case "relu":
            return nn.ReLU()
        case "relu6":
            return nn.ReLU6()
        case "prelu":
            return nn.PReLU()
        case "silu":
            return nn.SiLU()
        case "gelu":
            return nn.GELU()
        case "mish":
            return nn.Mish()
        case "serf":
            return Serf()
