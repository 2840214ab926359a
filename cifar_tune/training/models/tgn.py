"""The Taxonomic Gated Network: a gate chooses the superclass, one expert per superclass the class within it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cifar_tune.schema import OpenFraction
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.model import Channels
from cifar_tune.training.models.resnet import StemModel
from cifar_tune.training.taxonomy import superclasses

if TYPE_CHECKING:
    from torch import nn


class Tgn(StemModel):
    """16,609,720 parameters on CIFAR-100 at width 64: a ResNet-18 trunk, a gate and 20 experts.

    For data sets with coarse labels only. Its outputs are log-probabilities of the classes, in label order.
    """

    name: Literal["tgn"] = "tgn"
    may_differ = ("trunk.conv1.", "trunk.fc.", "gate.", "experts.")
    output_layers = ("gate.2.", "experts.weight", "experts.bias")
    width: Channels = 64
    """Channels of the first stage; features and the experts' hidden layers have 8 times as many, the gate's 4 times."""
    dropout: OpenFraction = 0.1
    """Inside the experts."""
    zero_init_residual: bool = False
    """Every residual block of the trunk begins as its skip alone: the weight of its last BatchNorm starts at 0.
    Source: Goyal et al. 2017 (arXiv:1706.02677, sec. 5.1)."""

    def own_name(self, name: str) -> str:
        """A ResNet-18's weights, torchvision's for instance, are the trunk's."""
        return name if name.startswith(("trunk.", "gate.", "experts.")) else f"trunk.{name}"

    def check(self, info: DatasetInfo) -> None:
        super().check(info)
        superclasses(info, f"model {self.name}")

    def build(self, info: DatasetInfo) -> nn.Module:
        from cifar_tune.training.networks.resnet import zero_residual_branches
        from cifar_tune.training.networks.tgn import TaxonomicGatedNetwork

        members = superclasses(info, f"model {self.name}")
        stem = self.stem_at(info.resolution)
        network = TaxonomicGatedNetwork(members, self.width, stem, self.dropout, info.channels)
        if self.zero_init_residual:
            zero_residual_branches(network)
        return network
