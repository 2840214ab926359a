"""The augmentations that a trial may list, applied in order. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.augmentations.affine import Affine
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.autoaugment import AutoAugment
from cifar_tune.training.augmentations.color_jitter import ColorJitter
from cifar_tune.training.augmentations.crop import Crop
from cifar_tune.training.augmentations.cutmix import CutMix
from cifar_tune.training.augmentations.cutout import Cutout
from cifar_tune.training.augmentations.flip import Flip
from cifar_tune.training.augmentations.mixup import MixUp
from cifar_tune.training.augmentations.mixup_or_cutmix import MixUpOrCutMix
from cifar_tune.training.augmentations.randaugment import RandAugment
from cifar_tune.training.augmentations.random_erasing import RandomErasing
from cifar_tune.training.augmentations.rotation import Rotation
from cifar_tune.training.augmentations.trivialaugment import TrivialAugment

AnyAugmentation = Annotated[
    Flip
    | Crop
    | Cutout
    | ColorJitter
    | Rotation
    | Affine
    | RandomErasing
    | RandAugment
    | AutoAugment
    | TrivialAugment
    | MixUp
    | CutMix
    | MixUpOrCutMix,
    Field(discriminator="name"),
]

__all__ = ["AnyAugmentation", "Augmentation"]
