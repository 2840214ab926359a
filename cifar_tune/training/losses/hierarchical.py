"""Cross-entropy of the superclass and of the class within it.

N batch, L label sets, K classes, S superclasses, M classes in the largest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import Fraction, OpenFraction
from cifar_tune.training.lazy import torch
from cifar_tune.training.losses.loss import LoadModel, Loss, LossFunction
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

    def check(self, info: DatasetInfo) -> None:
        superclasses(info, f"loss {self.name}")

    def build(self, info: DatasetInfo, device: torch.device | str, load_model: LoadModel) -> LossFunction:
        members = superclasses(info, f"loss {self.name}")
        largest = max(map(len, members))
        padded = [[*classes, *[classes[0]] * (largest - len(classes))] for classes in members]
        padding = [[member >= len(classes) for member in range(largest)] for classes in members]
        return HierarchicalCrossEntropy(
            self.within_share,
            self.label_smoothing,
            torch.tensor(info.coarse_of_fine, device=device),
            torch.tensor(padded, device=device),
            torch.tensor(padding, device=device),
            torch.tensor([len(classes) for classes in members], device=device),
        )


@dataclass(frozen=True, eq=False)
class HierarchicalCrossEntropy:
    """The loss for one data set on one device.

    coarse_of_fine: (K,) int64. members: (S, M) int64, each superclass's classes, padded to M.
    padding: (S, M) bool, True where `members` is padded. sizes: (S,) int64.
    """

    within_share: float
    label_smoothing: float
    coarse_of_fine: Tensor
    members: Tensor
    padding: Tensor
    sizes: Tensor

    def __call__(self, model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(images).float()
        fine = logits.log_softmax(1)
        by_superclass = fine[:, self.members]
        coarse = by_superclass.masked_fill(self.padding, -torch.inf).logsumexp(2)
        within_mean = by_superclass.masked_fill(self.padding, 0.0).sum(2) / self.sizes - coarse

        superclass = self.coarse_of_fine[batch.labels]
        chosen_coarse = coarse.gather(1, superclass)
        chosen_within = fine.gather(1, batch.labels) - chosen_coarse
        smoothed_coarse = self._smoothed(chosen_coarse, coarse.mean(1, keepdim=True))
        smoothed_within = self._smoothed(chosen_within, within_mean.gather(1, superclass))
        likelihood = (1 - self.within_share) * smoothed_coarse + self.within_share * smoothed_within
        return -(likelihood * batch.weights).sum(1).mean(), logits

    def _smoothed(self, chosen: Tensor, mean: Tensor) -> Tensor:
        return (1 - self.label_smoothing) * chosen + self.label_smoothing * mean
