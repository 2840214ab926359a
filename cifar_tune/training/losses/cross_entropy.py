"""Cross-entropy with label smoothing over mixed labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import OpenFraction
from cifar_tune.training.losses.loss import LoadModel, Loss, LossFunction

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from cifar_tune.training.batch import Batch
    from cifar_tune.training.datasets.dataset import DatasetInfo


class CrossEntropy(Loss):
    """Mean over images of the weighted cross-entropy of every label set.

    Smoothing: Szegedy et al. 2016 (arXiv:1512.00567, sec. 7).
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: OpenFraction = 0.0

    def build(self, info: DatasetInfo, device: torch.device | str, load_model: LoadModel) -> LossFunction:
        return self._compute

    def _compute(self, model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(images).float()
        return cross_entropy(logits, batch, self.label_smoothing), logits


def cross_entropy(logits: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
    """Returns the mean loss in nats of (N, K) logits."""
    log_probabilities = logits.log_softmax(1)
    chosen = (log_probabilities.gather(1, batch.labels) * batch.weights).sum(1)
    return -((1 - label_smoothing) * chosen + label_smoothing * log_probabilities.mean(1)).mean()
