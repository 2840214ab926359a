"""ResNet-18 and ResNet-34 (He et al. 2016, arXiv:1512.03385), with a stem for small images or ImageNet's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast

from cifar_tune.schema import OpenFraction
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.model import SMALLEST_MAP, Channels, Model
from cifar_tune.training.models.stem import IMAGENET_STEM, Stem

if TYPE_CHECKING:
    from torch import nn

IMAGENET_RESOLUTION = 128
"""From so many pixels on, ImageNet's stem leaves the stages at least the 32 x 32 map that the small one leaves of
CIFAR's images. The small one would leave 16 times as many pixels, and as many times the arithmetic."""


class StemModel(Model):
    """A network that begins with a stem and a ResNet's four stages."""

    width: Channels = 64
    """Channels of the first stage; the others have 2, 4 and 8 times as many."""
    stem: Stem | None = None
    """null: chosen by the resolution. Below 128 px a 3x3 convolution; from there on ImageNet's,
    `{kernel: 7, stride: 2, padding: 3, maxpool: true}`, which makes the network 16 times cheaper."""

    def at_resolution(self, resolution: int) -> Self:
        if self.stem is not None:
            return self
        options = {**dict(self), "stem": self.stem_at(resolution)}
        # not model_copy, by which the stem would seem given: `--plan` says that it was chosen
        return cast("Self", type(self).model_construct(_fields_set=self.model_fields_set, **options))

    def stem_at(self, resolution: int) -> Stem:
        """Returns the stem for images of so many pixels."""
        if self.stem is not None:
            return self.stem
        return IMAGENET_STEM if resolution >= IMAGENET_RESOLUTION else Stem()

    def smallest_resolution(self) -> int:
        return self.stem_at(0).smallest_resolution(SMALLEST_MAP)


class ResNet(StemModel):
    """Options of both depths. Tensors have torchvision's names."""

    may_differ = ("conv1.", "fc.")
    blocks: ClassVar[tuple[int, int, int, int]]
    """Blocks in each stage."""

    dropout: OpenFraction = 0.0
    """Before the linear head."""
    zero_init_residual: bool = False
    """Every residual block begins as its skip alone: the weight of its last BatchNorm starts at 0.
    Source: Goyal et al. 2017 (arXiv:1706.02677, sec. 5.1). Other rounding then changes curves far less, but short
    trainings lose: ResNet-18 of width 16 after 6 epochs on 5,000 CIFAR-10 images reached 0.400 with it and 0.496
    without (n = 3, benchmarks/zero_init_residual.py)."""

    def build(self, info: DatasetInfo) -> nn.Module:
        from cifar_tune.training.networks.resnet import ResNet as Network
        from cifar_tune.training.networks.resnet import zero_residual_branches

        stem = self.stem_at(info.resolution)
        network = Network(self.blocks, self.width, stem, self.dropout, info.channels, info.classes)
        if self.zero_init_residual:
            zero_residual_branches(network)
        return network


class ResNet18(ResNet):
    """11,173,962 parameters for 10 classes at width 64, 11,220,132 for 100."""

    name: Literal["resnet18"] = "resnet18"
    blocks = (2, 2, 2, 2)


class ResNet34(ResNet):
    """21,282,122 parameters for 10 classes at width 64, 21,328,292 for 100."""

    name: Literal["resnet34"] = "resnet34"
    blocks = (3, 4, 6, 3)
