"""Cutout: a square of the image is blanked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.errors import DatasetError
from cifar_tune.schema import Count, Fraction
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import chosen, integers
from cifar_tune.training.augmentations.rectangles import inside, replaced
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

    from cifar_tune.training.datasets.dataset import DatasetInfo


class Cutout(Augmentation):
    """Blanks a square whose centre is anywhere in the image; what lies beyond the border is lost.

    Source: DeVries and Taylor 2017 (arXiv:1708.04552).
    """

    name: Literal["cutout"] = "cutout"
    size: Count = 16
    """Side of the square in pixels."""
    p: Fraction = 1.0
    """Share of the images that lose a square."""
    fill: Literal["mean", "zero"] = "mean"
    """mean: the batch's mean colour, standing for the data set's (the paper's 0 after normalisation); zero: black."""
    moves_pixels_only: ClassVar[bool] = True

    def check(self, info: DatasetInfo) -> None:
        if self.size > info.resolution:
            raise DatasetError(
                f"augmentation cutout: a square of {self.size} pixels would blank whole images; "
                f"at most the data set's resolution, {info.resolution}, is allowed"
            )

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        images = batch.images
        size = chosen(batch, self.p, generator) * self.size
        top, left = (integers(batch, side, generator) - self.size // 2 for side in images.shape[2:])
        mask = inside(images, top, left, size, size)
        if self.fill == "zero":
            return replace(batch, images=images * ~mask)
        mean = images.mean((0, 2, 3), keepdim=True, dtype=torch.float32)
        return replace(batch, images=replaced(images, mask, mean.to(images.dtype)))
