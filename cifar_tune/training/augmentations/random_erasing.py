"""Random erasing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from cifar_tune.schema import Fraction
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import chosen
from cifar_tune.training.augmentations.rectangles import inside, replaced
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

TRIES = 10
"""Rectangles drawn for an image before it is left whole. Source: torchvision's RandomErasing."""

Share = Annotated[float, Field(gt=0, lt=1)]


class RandomErasing(Augmentation):
    """Blanks a rectangle wholly inside the image. Source: Zhong et al. 2017 (arXiv:1708.04896, algorithm 1)."""

    name: Literal["random_erasing"] = "random_erasing"
    p: Fraction = 0.5
    """Share of the images that lose a rectangle."""
    smallest_area: Share = 0.02
    largest_area: Share = 0.33
    """Of the rectangle, as shares of the image's area."""
    narrowest: Share = 0.3
    """Least ratio of the rectangle's height to its width, and of its width to its height; logarithms are drawn."""
    fill: Literal["mean", "zero", "noise"] = "mean"
    """mean: the batch's mean colour, which normalisation makes about 0; zero: black; noise: each value at random."""
    moves_pixels_only: ClassVar[bool] = True

    @model_validator(mode="after")
    def _areas_rise(self) -> RandomErasing:
        if self.smallest_area > self.largest_area:
            raise ValueError(f"smallest_area {self.smallest_area} is above largest_area {self.largest_area}")
        return self

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        height, width = self._sizes(batch, generator)
        height *= chosen(batch, self.p, generator)
        top, left = (
            (torch.rand(len(size), generator=generator, device=size.device) * (side - size + 1)).long()
            for side, size in zip(batch.images.shape[2:], (height, width), strict=True)
        )
        mask = inside(batch.images, top, left, height, width)
        return replace(batch, images=replaced(batch.images, mask, self._values(batch.images, generator)))

    def _sizes(self, batch: Batch, generator: Generator) -> tuple[Tensor, Tensor]:
        """Returns (N,) int64 heights and widths: the first of the tries that fits, or 0."""
        rows, columns = batch.images.shape[2:]
        draws = torch.rand(2, TRIES, len(batch.images), generator=generator, device=batch.images.device)
        area = rows * columns * (self.smallest_area + (self.largest_area - self.smallest_area) * draws[0])
        ratio = self.narrowest ** (2 * draws[1] - 1)
        height, width = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (height < rows) & (width < columns)
        first = fits.int().argmax(0, keepdim=True)
        found = fits.any(0)
        return (height.gather(0, first)[0] * found).long(), (width.gather(0, first)[0] * found).long()

    def _values(self, images: Tensor, generator: Generator) -> Tensor:
        if self.fill == "noise":
            noise = torch.rand(images.shape, generator=generator, device=images.device)
            return (noise * 256).to(torch.uint8) if images.dtype == torch.uint8 else noise
        mean = images.mean((0, 2, 3), keepdim=True, dtype=torch.float32).to(images.dtype)
        return mean if self.fill == "mean" else torch.zeros_like(mean)
