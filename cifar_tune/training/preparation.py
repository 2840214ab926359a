"""From stored pixels to what a network takes: augmentations, then normalisation. N batch, C channels, H W size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from cifar_tune.training.augmentations import Augmentation
from cifar_tune.training.batch import Batch
from cifar_tune.training.datasets.dataset import DatasetInfo

BRIGHTEST = 255


def augmented(batch: Batch, augmentations: Sequence[Augmentation], generator: Generator) -> Batch:
    """Returns the batch after every augmentation in order; pixels stay uint8 until one needs numbers."""
    for augmentation in augmentations:
        if not augmentation.moves_pixels_only and batch.images.dtype == torch.uint8:
            batch = replace(batch, images=batch.images.float().div_(BRIGHTEST))
        batch = augmentation.apply(batch, generator)
    return batch


class Normalization:
    """(x - mean) / std per channel, in the memory layout of the network."""

    def __init__(self, info: DatasetInfo, device: torch.device, *, channels_last: bool) -> None:
        mean, std = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (info.mean, info.std))
        self._of_bytes = mean * BRIGHTEST, std * BRIGHTEST
        self._of_shares = mean, std
        self._layout = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, images: Tensor) -> Tensor:
        """Returns (N, C, H, W) float32 of uint8 images in [0, 255] or float ones in [0, 1]."""
        mean, std = self._of_bytes if images.dtype == torch.uint8 else self._of_shares
        # The layout comes last: arithmetic by channel takes three times as long on channels_last images of 3 channels.
        return images.to(torch.float32, copy=True).sub_(mean).div_(std).contiguous(memory_format=self._layout)
