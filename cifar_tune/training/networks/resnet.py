"""ResNets of basic blocks, with torchvision's parameter names. Source: He et al. 2016 (arXiv:1512.03385, sec. 3, 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from cifar_tune.training.models.resnet import Stem

Convolution = Callable[..., nn.Conv2d]
"""Makes the convolutions of the blocks; takes nn.Conv2d's arguments."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a skip, which is projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, convolution: Convolution) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = convolution(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            projection = convolution(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        x += skip
        return F.relu(x, inplace=True)


class Trunk(nn.Module):
    """All of a ResNet before its head: (N, channels, H, W) -> (N, D) averaged features, D = 8 * width."""

    def __init__(
        self, blocks: Sequence[int], width: int, stem: Stem, channels: int, convolution: Convolution = nn.Conv2d
    ) -> None:
        super().__init__()
        self.features = 8 * width
        self.conv1 = nn.Conv2d(channels, width, stem.kernel, stem.stride, stem.padding, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem.maxpool else None
        self.layer1 = _stage(blocks[0], width, width, 1, convolution)
        self.layer2 = _stage(blocks[1], width, 2 * width, 2, convolution)
        self.layer3 = _stage(blocks[2], 2 * width, 4 * width, 2, convolution)
        self.layer4 = _stage(blocks[3], 4 * width, 8 * width, 2, convolution)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

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
        convolution: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__(blocks, width, stem, channels, convolution)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self.extract(images)))
        return logits


def _stage(blocks: int, inputs: int, outputs: int, stride: int, convolution: Convolution) -> nn.Sequential:
    """Returns a row of blocks, of which the first changes channels and size."""
    first = BasicBlock(inputs, outputs, stride, convolution)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, convolution) for _ in range(blocks - 1)))
