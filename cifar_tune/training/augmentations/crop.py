"""Random crop of the padded image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.schema import Count
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.batch import Batch

if TYPE_CHECKING:
    from torch import Generator


class Crop(Augmentation):
    """Pads each side and cuts a window of the original size at a random place."""

    name: Literal["crop"] = "crop"
    padding: Count = 4
    mode: Literal["zero", "reflect"] = "zero"
    moves_pixels_only: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        raise NotImplementedError
