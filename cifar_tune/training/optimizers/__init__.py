"""The optimizers that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.optimizers.adam import Adam
from cifar_tune.training.optimizers.adamw import AdamW
from cifar_tune.training.optimizers.lion import Lion
from cifar_tune.training.optimizers.muon import Muon
from cifar_tune.training.optimizers.optimizer import Optimizer
from cifar_tune.training.optimizers.rmsprop import RmsProp
from cifar_tune.training.optimizers.sgd import Sgd

AnyOptimizer = Annotated[Sgd | Adam | AdamW | RmsProp | Lion | Muon, Field(discriminator="name")]

__all__ = ["AnyOptimizer", "Optimizer"]
