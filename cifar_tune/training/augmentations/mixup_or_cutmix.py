"""A choice between MixUp and CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import Fraction, Positive
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import beta, chosen
from cifar_tune.training.augmentations.mixing import cut, mixed, neighbours
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator


class MixUpOrCutMix(Augmentation):
    """Treats each image by MixUp or by CutMix."""

    name: Literal["mixup_or_cutmix"] = "mixup_or_cutmix"
    mixup_alpha: Positive = 0.2
    cutmix_alpha: Positive = 1.0
    p: Fraction = 1.0
    """Share of the images that are treated."""
    cutmix_share: Fraction = 0.5
    """Share of these that are treated by CutMix."""

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        treated, by_cutmix = chosen(batch, self.p, generator), chosen(batch, self.cutmix_share, generator)
        mask = cut(batch, beta(batch, self.cutmix_alpha, generator), generator).float()
        blend = 1 - beta(batch, self.mixup_alpha, generator).view(-1, 1, 1, 1)
        partner_share = torch.where(by_cutmix.view(-1, 1, 1, 1), mask, blend) * treated.view(-1, 1, 1, 1)
        images = batch.images.lerp(neighbours(batch.images), partner_share)
        return mixed(batch, images, 1 - partner_share.mean((1, 2, 3)))
