"""What every augmentation's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from cifar_tune.schema import Strict
from cifar_tune.training.batch import Batch

if TYPE_CHECKING:
    from torch import Generator

    from cifar_tune.training.datasets.dataset import DatasetInfo


class Augmentation(Strict):
    """A random change of a batch by name and its options."""

    moves_pixels_only: ClassVar[bool] = False
    """True where uint8 images stay uint8; else the images arrive as float32 in [0, 1]."""

    def check(self, info: DatasetInfo) -> None:
        """Raises DatasetError where the data set's images do not suit the options. Imports no torch."""

    @abstractmethod
    def apply(self, batch: Batch, generator: Generator) -> Batch:
        """Returns the changed batch; every draw comes from `generator`, which lives on the images' device."""
