"""Random values, one an image, drawn from the trial's generator on the images' device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


def chosen(batch: Batch, p: float, generator: Generator) -> Tensor:
    """Returns (N,) bool, each True with probability `p`."""
    return uniform(batch, 0, 1, generator) < p


def uniform(batch: Batch, low: float, high: float, generator: Generator) -> Tensor:
    """Returns (N,) float32 in [low, high)."""
    images = batch.images
    return torch.rand(len(images), generator=generator, device=images.device) * (high - low) + low


def integers(batch: Batch, count: int, generator: Generator) -> Tensor:
    """Returns (N,) int64 in [0, count)."""
    images = batch.images
    return torch.randint(count, (len(images),), generator=generator, device=images.device)
