"""MixUp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import Fraction, Positive
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import beta, chosen
from cifar_tune.training.augmentations.mixing import mixed, neighbours
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator


class MixUp(Augmentation):
    """Blends each image with another of the batch, in a ratio drawn from Beta(alpha, alpha) for every image.

    Source: Zhang et al. 2018 (arXiv:1710.09412, eq. 1).
    """

    name: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2
    p: Fraction = 1.0
    """Share of the images that are blended."""

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        own = torch.where(chosen(batch, self.p, generator), beta(batch, self.alpha, generator), 1.0)
        return mixed(batch, neighbours(batch.images).lerp(batch.images, own[:, None, None, None]), own)
