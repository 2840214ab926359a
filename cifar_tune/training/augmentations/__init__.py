"""The augmentations that a trial may list, applied in order. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.crop import Crop
from cifar_tune.training.augmentations.cutout import Cutout
from cifar_tune.training.augmentations.flip import Flip

AnyAugmentation = Annotated[Flip | Crop | Cutout, Field(discriminator="name")]

__all__ = ["AnyAugmentation", "Augmentation"]
