"""Random crop of the padded image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.errors import DatasetError
from cifar_tune.schema import Count
from cifar_tune.training.augmentations.augmentation import Augmentation
from cifar_tune.training.augmentations.draws import integers
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from cifar_tune.training.datasets.dataset import DatasetInfo


class Crop(Augmentation):
    """Pads each side and cuts a window of the original size at a random place."""

    name: Literal["crop"] = "crop"
    padding: Count = 4
    mode: Literal["zero", "reflect"] = "zero"
    moves_pixels_only: ClassVar[bool] = True

    def check(self, info: DatasetInfo) -> None:
        if self.mode == "reflect" and self.padding >= info.resolution:
            raise DatasetError(
                f"augmentation crop: reflect padding of {self.padding} pixels needs images of at least "
                f"{self.padding + 1} x {self.padding + 1} pixels; the data set's resolution is {info.resolution}"
            )
        if self.padding > info.resolution:
            raise DatasetError(
                f"augmentation crop: with a padding of {self.padding} pixels a window may hold no pixel of the image; "
                f"at most the data set's resolution, {info.resolution}, is allowed"
            )

    def apply(self, batch: Batch, generator: Generator) -> Batch:
        tops, lefts = (integers(batch, 2 * self.padding + 1, generator) for _ in range(2))
        return replace(batch, images=windows(pad(batch.images, self.padding, self.mode), tops, lefts, self.padding))


def pad(images: Tensor, padding: int, mode: Literal["zero", "reflect"]) -> Tensor:
    """Returns (N, C, H + 2 padding, W + 2 padding); reflection repeats no border pixel and needs padding < H, W."""
    if mode == "zero":
        return torch.nn.functional.pad(images, (padding,) * 4)
    # torch's own reflection does not take uint8 on CUDA.
    for axis in (3, 2):
        inner = images.narrow(axis, 1, padding), images.narrow(axis, images.shape[axis] - padding - 1, padding)
        images = torch.cat((inner[0].flip(axis), images, inner[1].flip(axis)), axis)
    return images


def windows(padded: Tensor, tops: Tensor, lefts: Tensor, padding: int) -> Tensor:
    """Returns (N, C, H, W) windows of (N, C, H + 2 padding, W + 2 padding) images at (N,) int64 places.

    Every row of every window is one row of an overlapping view of the pixels, so that rows are copied whole:
    on one CPU core three times as fast as indexing pixel by pixel.
    """
    count, channels, rows, columns = padded.shape
    height, width = rows - 2 * padding, columns - 2 * padding
    pixels = padded.contiguous().view(-1)
    runs = pixels.as_strided((len(pixels) - width + 1, width), (1, 1))
    planes = torch.arange(count * channels, device=padded.device).view(count, channels, 1) * rows
    first_rows = planes + tops.view(-1, 1, 1) + torch.arange(height, device=padded.device)
    starts = first_rows * columns + lefts.view(-1, 1, 1)
    return runs.index_select(0, starts.view(-1)).view(count, channels, height, width)
