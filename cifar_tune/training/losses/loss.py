"""What every loss's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from cifar_tune.schema import Strict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cifar_tune.training.batch import Batch
    from cifar_tune.training.datasets.dataset import DatasetInfo


class Loss(Strict):
    """A training loss by name and its options."""

    def prepare(self, info: DatasetInfo, device: str) -> None:
        """Raises DatasetError where the loss needs what the data set lacks."""

    @abstractmethod
    def compute(self, model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns (mean loss in nats, (N, K) float32 logits); `images` are (N, C, H, W), normalised."""
