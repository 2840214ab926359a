"""RandAugment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import integers
from cifar_tune.training.augmentations.magnitudes import magnitudes, on_device, standard_ranges
from cifar_tune.training.augmentations.operations import INDEX, operated
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

LEVELS = 31
"""Of magnitude, as in torchvision; the paper's 0 to 30."""


class RandAugment(Augmentation):
    """Applies operations drawn for every image, all at one magnitude. Source: Cubuk et al. 2020 (arXiv:1909.13719)."""

    name: Literal["randaugment"] = "randaugment"
    operations: Annotated[int, Field(ge=1, le=100)] = 2
    """How many in a row; the paper's N, 1 to 3 there."""
    magnitude: Annotated[int, Field(ge=0, lt=LEVELS)] = 9
    """The paper's M."""
    moves_pixels_only: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        images = batch.images
        ranges = standard_ranges(images.shape[2], images.shape[3])
        members = on_device(tuple(INDEX[name] for name in ranges), torch.int64, images.device)
        for _ in range(self.operations):
            operations = members[integers(batch, len(ranges), generator)]
            strength = self.magnitude / (LEVELS - 1)
            images = operated(images, operations, magnitudes(ranges, operations, strength, batch, generator))
        return replace(batch, images=images)
