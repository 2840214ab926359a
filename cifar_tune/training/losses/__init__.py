"""The losses that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations



from cifar_tune.training.losses.cross_entropy import CrossEntropy
from cifar_tune.training.losses.loss import Loss

AnyLoss = CrossEntropy

__all__ = ["AnyLoss", "CrossEntropy", "Loss"]
