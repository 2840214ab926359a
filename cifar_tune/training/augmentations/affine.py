"""Random affine map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from cifar_tune.schema import Fraction, Positive
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import uniform
from cifar_tune.training.augmentations.warp import Interpolation, Maps, Padding, warped
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Affine(Augmentation):
    """Rotates, translates, scales and shears each image by amounts of its own, in one sampling."""

    name: Literal["affine"] = "affine"
    degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation to either side."""
    translate: Fraction = 0.0
    """Largest shift to either side, as a share of the image's height and width; whole pixels."""
    smallest_scale: Positive = 1.0
    largest_scale: Positive = 1.0
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0
    """Largest shear along the rows to either side, in degrees."""
    interpolation: Interpolation = "bilinear"
    padding: Padding = "zero"
    """What fills the rest: black, or the image's mirror image."""

    @model_validator(mode="after")
    def _scales_rise(self) -> Affine:
        if self.smallest_scale > self.largest_scale:
            raise ValueError(f"smallest_scale {self.smallest_scale} is above largest_scale {self.largest_scale}")
        return self

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        height, width = batch.images.shape[2:]
        maps = affine_maps(
            uniform(batch, -self.degrees, self.degrees, generator),
            uniform(batch, -self.translate * width, self.translate * width, generator).round(),
            uniform(batch, -self.translate * height, self.translate * height, generator).round(),
            uniform(batch, self.smallest_scale, self.largest_scale, generator),
            uniform(batch, -self.shear, self.shear, generator),
        )
        return replace(batch, images=warped(batch.images, maps, self.interpolation, self.padding))


def affine_maps(degrees: Tensor, right: Tensor, down: Tensor, scale: Tensor, shear: Tensor) -> Maps:
    """Returns the inverse of: shear along the rows, rotate clockwise, scale, then shift; all (N,), angles in degrees.

    The parameters mean what they mean in torchvision's `affine`.
    """
    angle, slant = torch.deg2rad(degrees), torch.deg2rad(shear).tan()
    cosine, sine = angle.cos(), angle.sin()
    xx, xy = (cosine - sine * slant) / scale, (sine + cosine * slant) / scale
    yx, yy = -sine / scale, cosine / scale
    return Maps(xx, xy, -xx * right - xy * down, yx, yy, -yx * right - yy * down)
