"""Images mixed with their neighbours in the batch, and their labels with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cifar_tune.training.augmentations.draws import integers
from cifar_tune.training.augmentations.rectangles import inside
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


def neighbours(values: Tensor) -> Tensor:
    """Returns each row's partner. Batches are in random order, so that the row before it is as random as any."""
    return values.roll(1, 0)


def mixed(batch: Batch, images: Tensor, own_share: Tensor) -> Batch:
    """Returns the batch with mixed `images` and twice as many label sets: its own and its partner's.

    own_share: (N,), the weight of its own.
    """
    own = own_share[:, None]
    return replace(
        batch,
        images=images,
        labels=torch.cat((batch.labels, neighbours(batch.labels)), 1),
        weights=torch.cat((batch.weights * own, neighbours(batch.weights) * (1 - own)), 1),
    )


def cut(batch: Batch, share: Tensor, generator: Generator) -> Tensor:
    """Returns (N, 1, H, W) bool: in each image a rectangle of its proportions and about (N,) `share` of its area.

    Its centre is anywhere; what lies beyond the border is cut off. Source: Yun et al. 2019 (arXiv:1905.04899, eq. 2).
    """
    halves = [(side * share.sqrt() / 2).long() for side in batch.images.shape[2:]]
    starts = [
        integers(batch, side, generator) - half for side, half in zip(batch.images.shape[2:], halves, strict=True)
    ]
    return inside(batch.images, *starts, *(2 * half for half in halves))
