"""What an augmentation receives and returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Images and their labels on one device. N batch, C channels, H W size, M label sets.

    images: (N, C, H, W), uint8 in [0, 255] or float32 in [0, 1].
    labels: (N, M) int64. M is 1 until MixUp or CutMix doubles it.
    weights: (N, M) float32, each row sums to 1.
    positions: (N,) int64, the images' places in the training set (for draws tied to an image).
    epoch: 1 for the first.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor
    positions: Tensor
    epoch: int

    def part(self, rows: slice | Tensor) -> Batch:
        """Returns some of the images, with what belongs to them."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            weights=self.weights[rows],
            positions=self.positions[rows],
        )
