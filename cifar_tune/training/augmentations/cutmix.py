"""CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.schema import Fraction, Positive
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import beta, chosen
from cifar_tune.training.augmentations.mixing import cut, mixed, neighbours
from cifar_tune.training.augmentations.rectangles import replaced
from cifar_tune.training.batch import Batch

if TYPE_CHECKING:
    from torch import Generator


class CutMix(Augmentation):
    """Pastes a rectangle of another image of the batch into each; labels weigh as much as their pixels.

    The rectangle's share of the area is drawn from Beta(alpha, alpha) for every image, before what lies beyond the
    border is cut off. Source: Yun et al. 2019 (arXiv:1905.04899).
    """

    name: Literal["cutmix"] = "cutmix"
    alpha: Positive = 1.0
    p: Fraction = 1.0
    """Share of the images that are pasted into."""
    moves_pixels_only: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        share = beta(batch, self.alpha, generator) * chosen(batch, self.p, generator)
        mask = cut(batch, share, generator)
        images = replaced(batch.images, mask, neighbours(batch.images))
        return mixed(batch, images, 1 - mask.float().mean((1, 2, 3)))
