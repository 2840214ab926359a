"""TrivialAugment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import integers
from cifar_tune.training.augmentations.magnitudes import magnitudes, on_device, wide_ranges
from cifar_tune.training.augmentations.operations import INDEX, operated
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

LEVELS = 31
"""Of magnitude. Source: arXiv:2103.10158, sec. 3."""


class TrivialAugment(Augmentation):
    """Applies one operation, at one magnitude, both drawn for every image.

    Source: Mueller and Hutter 2021 (arXiv:2103.10158), with the wide ranges.
    """

    name: Literal["trivialaugment"] = "trivialaugment"
    moves_pixels_only: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        ranges = wide_ranges()
        members = on_device(tuple(INDEX[name] for name in ranges), torch.int64, batch.images.device)
        operations = members[integers(batch, len(ranges), generator)]
        strength = integers(batch, LEVELS, generator) / (LEVELS - 1)
        amounts = magnitudes(ranges, operations, strength, batch, generator)
        return replace(batch, images=operated(batch.images, operations, amounts))
