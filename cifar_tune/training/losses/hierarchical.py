"""Cross-entropy of the superclass and of the class within it. N batch, M label sets, K classes, S superclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PrivateAttr

from cifar_tune.schema import Fraction, OpenFraction
from cifar_tune.training.lazy import torch
from cifar_tune.training.losses.loss import Loss
from cifar_tune.training.taxonomy import superclasses

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cifar_tune.training.batch import Batch
    from cifar_tune.training.datasets.dataset import DatasetInfo


class Hierarchical(Loss):
    """(1 - a) CE(superclass) + a CE(class within its superclass), a = `within_share`; MixUp weighs both label sets.

    By the chain rule both distributions follow from the model's class probabilities, p(superclass) being their sum, so
    that any model can be trained by it. TGN's gate and experts receive the same gradients as from their own logits.
    """

    name: Literal["hierarchical"] = "hierarchical"
    within_share: Fraction = 0.75
    label_smoothing: OpenFraction = 0.0
    """Over the superclasses, and over the classes of the superclass."""
    _coarse_of_fine: Tensor = PrivateAttr()
    _members: Tensor = PrivateAttr()
    _padding: Tensor = PrivateAttr()
    _sizes: Tensor = PrivateAttr()

    def prepare(self, info: DatasetInfo, device: str) -> None:
        members = superclasses(info, f"loss {self.name}")
        largest = max(map(len, members))
        padded = [[*classes, *[classes[0]] * (largest - len(classes))] for classes in members]
        padding = [[member >= len(classes) for member in range(largest)] for classes in members]
        self._coarse_of_fine = torch.tensor(info.coarse_of_fine, device=device)
        self._members = torch.tensor(padded, device=device)
        self._padding = torch.tensor(padding, device=device)
        self._sizes = torch.tensor([len(classes) for classes in members], device=device)

    def compute(self, model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(images).float()
        fine = logits.log_softmax(1)
        by_superclass = fine[:, self._members]
        coarse = by_superclass.masked_fill(self._padding, -torch.inf).logsumexp(2)
        within_mean = by_superclass.masked_fill(self._padding, 0.0).sum(2) / self._sizes - coarse

        superclass = self._coarse_of_fine[batch.labels]
        chosen_coarse = coarse.gather(1, superclass)
        chosen_within = fine.gather(1, batch.labels) - chosen_coarse
        smoothed_coarse = self._smoothed(chosen_coarse, coarse.mean(1, keepdim=True))
        smoothed_within = self._smoothed(chosen_within, within_mean.gather(1, superclass))
        likelihood = (1 - self.within_share) * smoothed_coarse + self.within_share * smoothed_within
        return -(likelihood * batch.weights).sum(1).mean(), logits

    def _smoothed(self, chosen: Tensor, mean: Tensor) -> Tensor:
        return (1 - self.label_smoothing) * chosen + self.label_smoothing * mean
