"""ResNet-18 and ResNet-34 (He et al. 2016, arXiv:1512.03385) with a stem for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cifar_tune.schema import Count, OpenFraction, Strict
from cifar_tune.training.models.model import Model

if TYPE_CHECKING:
    from torch import nn


class Stem(Strict):
    """The first convolution. The default suits 32 px images; `{kernel: 7, stride: 2, padding: 3, maxpool: true}` is ImageNet's."""

    kernel: Annotated[int, Field(ge=1, le=11)] = 3
    stride: Annotated[int, Field(ge=1, le=4)] = 1
    padding: Annotated[int, Field(ge=0, le=5)] = 1
    maxpool: bool = False


class ResNet(Model):
    """Options of both depths."""

    width: Count = 64
    """Channels of the first stage; the others have 2, 4 and 8 times as many."""
    stem: Stem = Stem()
    dropout: OpenFraction = 0.0
    """Before the linear head."""


class ResNet18(ResNet):
    """11,173,962 parameters for 10 classes at width 64."""

    name: Literal["resnet18"] = "resnet18"

    def build(self, channels: int, classes: int) -> nn.Module:
        from cifar_tune.training.networks.resnet import resnet

        return resnet((2, 2, 2, 2), self.width, self.stem, self.dropout, channels, classes)


class ResNet34(ResNet):
    """21,282,122 parameters for 10 classes at width 64."""

    name: Literal["resnet34"] = "resnet34"

    def build(self, channels: int, classes: int) -> nn.Module:
        from cifar_tune.training.networks.resnet import resnet

        return resnet((3, 4, 6, 3), self.width, self.stem, self.dropout, channels, classes)
