"""Colour jitter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cifar_tune.schema import NonNegative
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.colours import brightened, contrasted, hue_shifted, saturated
from cifar_tune.training.augmentations.draws import uniform
from cifar_tune.training.batch import Batch

if TYPE_CHECKING:
    from torch import Generator


class ColorJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue, in this order, by factors drawn for every image.

    A strength s draws the factor from [max(0, 1 - s), 1 + s]. (torchvision draws the order too; a fixed one needs no
    draw to leave the device.)
    """

    name: Literal["color_jitter"] = "color_jitter"
    brightness: NonNegative = 0.0
    contrast: NonNegative = 0.0
    saturation: NonNegative = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest shift to either side, in turns of the colour circle."""

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        images = batch.images
        strengths = (self.brightness, self.contrast, self.saturation)
        for change, strength in zip((brightened, contrasted, saturated), strengths, strict=True):
            if strength:
                images = change(images, uniform(batch, max(0.0, 1 - strength), 1 + strength, generator))
        if self.hue:
            images = hue_shifted(images, uniform(batch, -self.hue, self.hue, generator))
        return replace(batch, images=images)
