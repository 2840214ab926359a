"""What every loss's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from cifar_tune.schema import Strict

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from cifar_tune.training.batch import Batch
    from cifar_tune.training.datasets.dataset import DatasetInfo


LoadModel: TypeAlias = "Callable[[str, DatasetInfo, torch.device | str], nn.Module]"
"""Reads the trained network of a checkpoint, for images of this data set, onto a device."""


class LossFunction(Protocol):
    """A loss made ready for one data set and one device; it may hold tensors and a frozen teacher, but no state."""

    def __call__(self, model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns (mean loss in nats, (N, K) float32 logits); `images` are (N, C, H, W), normalised."""


class Loss(Strict):
    """A training loss by name and its options."""

    def check(self, info: DatasetInfo) -> None:
        """Raises DatasetError where the loss needs what the data set lacks. Imports no torch."""

    @abstractmethod
    def build(self, info: DatasetInfo, device: torch.device | str, load_model: LoadModel) -> LossFunction:
        """Returns the loss for this data set on this device. load_model: for a loss that has a teacher."""
