"""MiniNet: a shallow residual net of depthwise-separable convolutions with squeeze-excitation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_tune.training.networks.activations import ACTIVATIONS
from cifar_tune.training.networks.recomputable import Recomputable
from cifar_tune.training.networks.resnet import Convolution


class SeparableUnit(nn.Sequential):
    """3x3 depthwise convolution with the stride, 1x1 convolution, BatchNorm, activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: str) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            ACTIVATIONS[activation](),
        )


class Block(Recomputable):
    """Two separable units beside a skip; nothing follows the sum.

    The skip is projected where the channels change, averaged over 2x2 pixels where only the size does.
    `idle_projection` adds a frozen projection where nothing reads it, as the published net has it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, activation: str, idle_projection: bool) -> None:
        super().__init__()
        self.units = nn.Sequential(
            SeparableUnit(inputs, outputs, stride, activation), SeparableUnit(outputs, outputs, 1, activation)
        )
        self.projects = inputs != outputs
        self.shrinks = stride == 2
        self.projection: nn.Module | None = None
        if self.projects or idle_projection:
            self.projection = nn.Sequential(Convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
            self.projection.requires_grad_(self.projects)

    def compute(self, x: Tensor) -> Tensor:
        skip = x
        if self.projects and self.projection is not None:
            skip = self.projection(x)
        elif self.shrinks:
            skip = F.avg_pool2d(x, 2, ceil_mode=True)
        result: Tensor = self.units(x) + skip
        return result


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from all channels' means. Source: Hu et al. 2018 (arXiv:1709.01507)."""

    def __init__(self, channels: int, squeeze_factor: int, activation: str) -> None:
        super().__init__()
        squeezed = max(1, channels // squeeze_factor)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.activation = ACTIVATIONS[activation]()
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(self.activation(self.squeeze(means))))


class MiniNet(nn.Module):
    """(N, channels, H, W) -> (N, K) logits; maps of H, H/2, H/4 and H/8."""

    def __init__(
        self,
        variant: str,
        activation: str,
        squeeze_factor: int,
        width: int,
        dropout: float,
        channels: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        idle = variant == "published"
        stages: list[nn.Module] = []
        inputs = width
        for factor, stride in ((2, 1), (2, 1), (4, 2), (8, 2), (8, 2)):
            outputs = factor * width
            stages.append(Block(inputs, outputs, stride, activation, idle))
            stages.append(SqueezeExcite(outputs, squeeze_factor, activation))
            inputs = outputs
        stages.append(Block(inputs, inputs, 1, activation, idle))
        if variant == "newer":
            stages.append(SqueezeExcite(inputs, squeeze_factor, activation))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.stem(images)).mean((2, 3))
        logits: Tensor = self.fc(self.dropout(features))
        return logits
