"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Serf(nn.Module):
    """x * erf(softplus(x)). Source: Nag et al. 2023 (arXiv:2108.09598, eq. 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.erf(F.softplus(x))


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "prelu": nn.PReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "serf": Serf,
}
"""By name. PReLU learns one slope; all others hold no parameter."""
