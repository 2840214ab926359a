"""ResNets whose blocks compute with weights of three values."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.resnet import ResNet, ResNet18, ResNet34

if TYPE_CHECKING:
    from torch import nn

Method = Literal["twn", "ttq"]


class TernaryResNet(ResNet):
    """Options of both depths. Stem, BatchNorm and head stay in full precision.

    The optimizer moves latent float weights, and weight decay shrinks these; every forward pass takes the three values
    from them anew.
    """

    plain_model: ClassVar[type[ResNet]]
    """Of the same depth, in float weights."""

    method: Method = "twn"
    """twn: {-a, 0, a}, a from the latent weights (Li et al. 2016, arXiv:1605.04711).
    ttq: {-n, 0, p}, n and p learned, two parameters a layer (Zhu et al. 2017, arXiv:1612.01064)."""

    def may_be_fresh(self, name: str) -> bool:
        """TTQ's scales follow from the weights."""
        return super().may_be_fresh(name) or name.endswith(("positive_scale", "negative_scale"))

    def plain(self) -> ResNet:
        """Returns the model whose network computes the same from the three values."""
        return self.plain_model.model_validate(self.model_dump(include={"width", "stem", "dropout"}))

    def build(self, info: DatasetInfo) -> nn.Module:
        from cifar_tune.training.networks.resnet import ResNet as Network
        from cifar_tune.training.networks.resnet import zero_residual_branches
        from cifar_tune.training.networks.ternary import CONVOLUTIONS

        options = (self.width, self.stem_at(info.resolution), self.dropout, info.channels, info.classes)
        network = Network(self.blocks, *options, CONVOLUTIONS[self.method])
        if self.zero_init_residual:
            zero_residual_branches(network)
        return network


class TernaryResNet18(TernaryResNet):
    """11,173,962 parameters for 10 classes at width 64, of which 11,157,504 ternary in 19 layers."""

    name: Literal["ternary_resnet18"] = "ternary_resnet18"
    plain_model = ResNet18
    blocks = (2, 2, 2, 2)


class TernaryResNet34(TernaryResNet):
    """21,282,122 parameters for 10 classes at width 64, of which 21,258,240 ternary in 35 layers."""

    name: Literal["ternary_resnet34"] = "ternary_resnet34"
    plain_model = ResNet34
    blocks = (3, 4, 6, 3)
