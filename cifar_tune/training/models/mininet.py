"""MiniNet: a shallow residual net of depthwise-separable convolutions with squeeze-excitation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.schema import Count, OpenFraction
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.model import SMALLEST_MAP, Model

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "relu6", "prelu", "silu", "gelu", "mish", "serf"]


class MiniNet(Model):
    """541,253 parameters for 101 classes; `variant: published` holds 677,573, of which 136,320 never see a gradient."""

    name: Literal["mininet"] = "mininet"
    cpu_bfloat16_resolution: ClassVar[int] = 64
    variant: Literal["live", "published"] = "live"
    activation: Activation = "mish"
    squeeze_factor: Count = 8
    width: Count = 32
    """Channels of the stem; the stages have 2, 4 and 8 times as many."""
    dropout: OpenFraction = 0.25

    def smallest_resolution(self) -> int:
        return SMALLEST_MAP

    def build(self, info: DatasetInfo) -> nn.Module:
        from cifar_tune.training.networks.mininet import MiniNet as Network

        options = (self.variant, self.activation, self.squeeze_factor, self.width, self.dropout)
        return Network(*options, info.channels, info.classes)
