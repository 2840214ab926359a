"""AutoAugment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import integers, uniform
from cifar_tune.training.augmentations.magnitudes import magnitudes, on_device, standard_ranges
from cifar_tune.training.augmentations.operations import INDEX, operated
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

LEVELS = 10

CIFAR10 = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("auto_contrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("auto_contrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("auto_contrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("auto_contrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("auto_contrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("auto_contrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("auto_contrast", 0.9, 0)),
)
"""Sub-policies: two operations, each with its probability and level, 0 for those that have none.

Source: arXiv:1805.09501, table 7.
"""


class AutoAugment(Augmentation):
    """Applies the two operations of a sub-policy drawn for every image, each with its own probability.

    The policy is that found on CIFAR-10. Source: Cubuk et al. 2019 (arXiv:1805.09501).
    """

    name: Literal["autoaugment"] = "autoaugment"
    moves_pixels_only: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        images = batch.images
        ranges = standard_ranges(images.shape[2], images.shape[3])
        policy = integers(batch, len(CIFAR10), generator)
        for place in range(2):
            steps = [sub_policy[place] for sub_policy in CIFAR10]
            device = images.device
            operation = on_device(tuple(INDEX[name] for name, _, _ in steps), torch.int64, device)[policy]
            probability = on_device(tuple(p for _, p, _ in steps), torch.float32, device)[policy]
            strength = on_device(tuple(level / (LEVELS - 1) for _, _, level in steps), torch.float32, device)[policy]
            applied = uniform(batch, 0, 1, generator) < probability
            operation = torch.where(applied, operation, INDEX["identity"])
            images = operated(images, operation, magnitudes(ranges, operation, strength, batch, generator))
        return replace(batch, images=images)
