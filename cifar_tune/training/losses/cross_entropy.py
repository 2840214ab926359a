"""Cross-entropy with label smoothing over mixed labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import OpenFraction
from cifar_tune.training.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cifar_tune.training.batch import Batch


class CrossEntropy(Loss):
    """Mean over images of the weighted cross-entropy of every label set; smoothing as in Szegedy et al. 2016 (arXiv:1512.00567, sec. 7)."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: OpenFraction = 0.0

    def compute(self, model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(images).float()
        log_probabilities = logits.log_softmax(1)
        chosen = (log_probabilities.gather(1, batch.labels) * batch.weights).sum(1)
        return -((1 - self.label_smoothing) * chosen + self.label_smoothing * log_probabilities.mean(1)).mean(), logits
