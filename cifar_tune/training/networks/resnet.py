"""ResNets of basic blocks, with torchvision's parameter names. Source: He et al. 2016 (arXiv:1512.03385, sec. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from cifar_tune.training.networks.recomputable import Recomputable

if TYPE_CHECKING:
    from cifar_tune.training.models.stem import Stem


SIMD_BLOCK = 16
"""float32 numbers in a register of AVX-512, and channels in a block of oneDNN's memory formats."""


class Convolution(nn.Conv2d):
    """Convolution without bias. Source of its initialisation: He et al. 2015 (arXiv:1502.01852, eq. 14)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=False)

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Returns the convolution; a strided 1x1 one of few channels picks its pixels first, which is the same.

        oneDNN's weight gradient of that one leaves its memory, and the process crashes: seen in float32 and
        channels_last at 56 to 128 px with 2 to 15 channels, never with 16 to 64 at up to 224 px (torch 2.15).
        """
        if self.kernel_size == (1, 1) and self.stride != (1, 1) and x.is_cpu and self.in_channels < SIMD_BLOCK:
            return F.conv2d(x[:, :, :: self.stride[0], :: self.stride[1]], weight, bias)
        convolved: Tensor = super()._conv_forward(x, weight, bias)
        return convolved


class BasicBlock(Recomputable):
    """Two 3x3 convolutions around a skip, which is projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, convolution: type[Convolution]) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = convolution(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def compute(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        x += skip
        return F.relu(x, inplace=True)


class Trunk(nn.Module):
    """All of a ResNet before its head: (N, channels, H, W) -> (N, D) averaged features, D = 8 * width.

    The stem is always in full precision; `convolution` makes those of the blocks.
    """

    def __init__(
        self, blocks: Sequence[int], width: int, stem: Stem, channels: int, convolution: type[Convolution] = Convolution
    ) -> None:
        super().__init__()
        self.features = 8 * width
        self.conv1 = Convolution(channels, width, stem.kernel, stem.stride, stem.padding)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem.maxpool else None
        self.layer1 = _stage(blocks[0], width, width, 1, convolution)
        self.layer2 = _stage(blocks[1], width, 2 * width, 2, convolution)
        self.layer3 = _stage(blocks[2], 2 * width, 4 * width, 2, convolution)
        self.layer4 = _stage(blocks[3], 4 * width, 8 * width, 2, convolution)

    def extract(self, images: Tensor) -> Tensor:
        """Returns (N, D) features."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        if self.maxpool is not None:
            x = self.maxpool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.extract(images)


class ResNet(Trunk):
    """A trunk with dropout and a linear head: (N, channels, H, W) -> (N, K) logits."""

    def __init__(
        self,
        blocks: Sequence[int],
        width: int,
        stem: Stem,
        dropout: float,
        channels: int,
        classes: int,
        convolution: type[Convolution] = Convolution,
    ) -> None:
        super().__init__(blocks, width, stem, channels, convolution)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self.extract(images)))
        return logits


def zero_residual_branches(network: nn.Module) -> None:
    """Makes every residual block of the network the identity, or its projection, until the first step.

    Each branch ends in a BatchNorm whose weight is then 0. Source: Goyal et al. 2017 (arXiv:1706.02677, sec. 5.1).
    """
    for module in network.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)


def _stage(blocks: int, inputs: int, outputs: int, stride: int, convolution: type[Convolution]) -> nn.Sequential:
    """Returns a row of blocks, of which the first changes channels and size."""
    first = BasicBlock(inputs, outputs, stride, convolution)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, convolution) for _ in range(blocks - 1)))
