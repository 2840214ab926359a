"""Horizontal flip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.schema import Fraction
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator


class Flip(Augmentation):
    """Mirrors images left to right."""

    name: Literal["flip"] = "flip"
    p: Fraction = 0.5
    moves_pixels_only: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        images = batch.images
        chosen = torch.rand(len(images), generator=generator, device=images.device) < self.p
        return replace(batch, images=torch.where(chosen[:, None, None, None], images.flip(3), images))
