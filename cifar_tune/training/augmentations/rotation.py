"""Random rotation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import uniform
from cifar_tune.training.augmentations.warp import Interpolation, Padding, rotations, warped
from cifar_tune.training.batch import Batch

if TYPE_CHECKING:
    from torch import Generator


class Rotation(Augmentation):
    """Turns each image about its centre by an angle drawn from [-degrees, degrees]."""

    name: Literal["rotation"] = "rotation"
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    interpolation: Interpolation = "bilinear"
    padding: Padding = "zero"
    """What fills the corners: black, or the image's mirror image."""

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        maps = rotations(uniform(batch, -self.degrees, self.degrees, generator))
        return replace(batch, images=warped(batch.images, maps, self.interpolation, self.padding))
