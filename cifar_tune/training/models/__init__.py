"""The models that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.models.mininet import MiniNet
from cifar_tune.training.models.model import Model
from cifar_tune.training.models.resnet import ResNet18, ResNet34
from cifar_tune.training.models.ternary import TernaryResNet18, TernaryResNet34
from cifar_tune.training.models.tgn import Tgn

AnyModel = Annotated[
    ResNet18 | ResNet34 | MiniNet | Tgn | TernaryResNet18 | TernaryResNet34, Field(discriminator="name")
]

__all__ = ["AnyModel", "Model"]
