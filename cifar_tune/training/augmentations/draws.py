"""Random values, one an image, drawn from the trial's generator on the images' device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

TRIES = 8
"""Of Marsaglia and Tsang's method; at least 95 % of its tries succeed, so that fewer than 1 draw in 10^10 has none."""


def uniform(batch: Batch, low: float, high: float, generator: Generator) -> Tensor:
    """Returns (N,) float32 in [low, high)."""
    images = batch.images
    return torch.rand(len(images), generator=generator, device=images.device) * (high - low) + low


def chosen(batch: Batch, p: float, generator: Generator) -> Tensor:
    """Returns (N,) bool, each True with probability `p`."""
    return uniform(batch, 0, 1, generator) < p


def integers(batch: Batch, count: int, generator: Generator) -> Tensor:
    """Returns (N,) int64 in [0, count)."""
    images = batch.images
    return torch.randint(count, (len(images),), generator=generator, device=images.device)


def beta(batch: Batch, alpha: float, generator: Generator) -> Tensor:
    """Returns (N,) float32 in [0, 1] from Beta(alpha, alpha), as X / (X + Y) of two Gamma(alpha) variables."""
    log_x, log_y = (_log_gamma_variable(batch, alpha, generator) for _ in range(2))
    return torch.sigmoid(log_x - log_y)


def _log_gamma_variable(batch: Batch, alpha: float, generator: Generator) -> Tensor:
    """Returns the logarithm of Gamma(alpha) variables: Gamma(alpha + 1) times U^(1 / alpha).

    A fixed number of tries in place of a loop until success: nothing waits for the device. Source: Marsaglia and Tsang
    2000, "A simple method for generating gamma variables", sec. 4 and 6.
    """
    shape, device = (TRIES, len(batch.images)), batch.images.device
    d = alpha + 1 - 1 / 3
    x = torch.randn(shape, generator=generator, device=device)
    v = (1 + x / (9 * d) ** 0.5).clamp(min=1e-6).pow(3)
    accepted = _log_uniform(shape, generator, device) < x.square() / 2 + d - d * v + d * v.log()
    first: Tensor = v.gather(0, accepted.int().argmax(0, keepdim=True))[0]
    return first.log() + math.log(d) + _log_uniform(shape[1:], generator, device) / alpha


def _log_uniform(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    return (1 - torch.rand(shape, generator=generator, device=device)).log()
