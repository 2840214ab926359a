"""The losses that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.losses.cross_entropy import CrossEntropy
from cifar_tune.training.losses.distillation import Distillation
from cifar_tune.training.losses.hierarchical import Hierarchical
from cifar_tune.training.losses.loss import Loss, LossFunction

AnyLoss = Annotated[CrossEntropy | Hierarchical | Distillation, Field(discriminator="name")]

__all__ = ["AnyLoss", "CrossEntropy", "Loss", "LossFunction"]
