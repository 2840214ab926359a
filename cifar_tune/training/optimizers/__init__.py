"""The optimizers that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.optimizers.adamw import AdamW
from cifar_tune.training.optimizers.optimizer import Optimizer
from cifar_tune.training.optimizers.sgd import Sgd

AnyOptimizer = Annotated[Sgd | AdamW, Field(discriminator="name")]

__all__ = ["AnyOptimizer", "Optimizer"]
