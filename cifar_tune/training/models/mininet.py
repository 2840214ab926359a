"""MiniNet: a shallow residual net of depthwise-separable convolutions with squeeze-excitation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from cifar_tune.schema import Count, OpenFraction
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.model import SMALLEST_MAP, Channels, Model

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "relu6", "prelu", "silu", "gelu", "mish", "serf"]
Variant = Literal["live", "published", "newer"]


PUBLISHED_NAMES = (
    (r"^_stem\.", "stem."),
    (r"^(?:_backbone|seq)\.(\d+)\.", r"stages.\1."),
    (r"^(?:_classifier\.3|stages\.14)\.", "fc."),
    (r"^(stages\.\d+)\.(?:_conv_stack|seq)\.(\d)\.", r"\1.units.\2."),
    (r"^(stages\.\d+\.units\.\d)\._?depthwise\.", r"\1.0."),
    (r"^(stages\.\d+\.units\.\d)\._?pointwise\.", r"\1.1."),
    (r"^(stages\.\d+\.units\.\d)\.(?:bn|_norm)\.", r"\1.2."),
    (r"^(stages\.\d+\.units\.\d)\.(?:activation|_activation_fn)\.", r"\1.3."),
    (r"^(stages\.\d+)\._residual_transform\.", r"\1.projection."),
    (r"^(stages\.\d+)\.fc1\.", r"\1.squeeze."),
    (r"^(stages\.\d+)\.fc2\.", r"\1.excite."),
)
"""Names in the published state dicts, of the older and the newer code, and ours; applied in order.

Source: github.com/jamesclampffer/machinelearnings, mininet/mininet.py and blocks.py.
"""


class MiniNet(Model):
    """A shallow residual net of 541,253 parameters for 101 classes.

    `variant: published` has 677,573 parameters, as its author counts. 136,320 of these are projections that nothing
    reads and no gradient reaches, so that 541,253 are trained. `variant: newer` is the later published network, with
    squeeze-excitation after the sixth block too: 557,925 parameters, all trained.
    """

    name: Literal["mininet"] = "mininet"
    may_differ = ("stem.0.", "fc.")
    cpu_bfloat16_resolution: ClassVar[int] = 64
    avx512_bfloat16_resolution: ClassVar[int | None] = None
    variant: Variant = "live"
    activation: Activation = "mish"
    squeeze_factor: Count = 8
    width: Channels = 32
    """Channels of the stem; the stages have 2, 4 and 8 times as many."""
    dropout: OpenFraction = 0.25

    def own_name(self, name: str) -> str:
        for theirs, ours in PUBLISHED_NAMES:
            name = re.sub(theirs, ours, name)
        return name

    def smallest_resolution(self) -> int:
        return SMALLEST_MAP

    def build(self, info: DatasetInfo) -> nn.Module:
        from cifar_tune.training.networks.mininet import MiniNet as Network

        options = (self.variant, self.activation, self.squeeze_factor, self.width, self.dropout)
        return Network(*options, info.channels, info.classes)
