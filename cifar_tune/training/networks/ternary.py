"""Convolutions that compute with three weight values, and those values packed into two bits each.

The gradient passes straight through the rounding to latent float weights (Bengio et al. 2013, arXiv:1308.3432).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from cifar_tune.training.networks.resnet import Convolution

TWN_THRESHOLD = 0.7
"""Times mean |w|. Source: Li et al. 2016 (arXiv:1605.04711, sec. 2)."""

TTQ_THRESHOLD = 0.05
"""Times max |w|. Source: Zhu et al. 2017 (arXiv:1612.01064, sec. 4)."""


class TernaryConvolution(Convolution):
    """Convolution by `ternary_weight()`; `weight` holds the latent values."""

    @abstractmethod
    def ternary_weight(self) -> Tensor:
        """Returns the weights computed with: at most one negative value, zero, and at most one positive value."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.ternary_weight(), None)


class TwnConvolution(TernaryConvolution):
    """Ternary Weight Network: the scale is the mean magnitude of the weights above the threshold."""

    def ternary_weight(self) -> Tensor:
        latent = self.weight.detach()
        magnitude = latent.abs()
        kept = magnitude > TWN_THRESHOLD * magnitude.mean()
        scale = (magnitude * kept).sum() / kept.sum().clamp(min=1)
        return latent.sign() * kept * scale + _straight_through(self.weight)


class TtqConvolution(TernaryConvolution):
    """Trained Ternary Quantization: one learned scale for the positive weights and one for the negative.

    Two gradients differ from the paper's, which starts from trained weights, while ours must learn from scratch. Its
    scales' gradient is a sum over weights, which at the weights' lr turns the scales' signs within a few epochs: ours
    is the mean. Its latent gradient is scaled but for the zero weights, which at scales of 0.05 leaves no zeros: ours
    passes straight through. CIFAR-10, width 16, 6,000 images, 4 epochs of SGD at lr 0.1, one seed: 0.20 by the paper's
    gradients, 0.46 with the mean alone, 0.54 with both; TWN 0.54.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.positive_scale = nn.Parameter(torch.empty(()))
        self.negative_scale = nn.Parameter(torch.empty(()))
        self.reset_scales()

    @torch.no_grad()
    def reset_scales(self) -> None:
        """Makes the scales the mean magnitudes of the weights that they stand for."""
        positive, negative = self._signs()
        latent = self.weight.detach()
        self.positive_scale.copy_((latent * positive).sum() / positive.sum().clamp(min=1))
        self.negative_scale.copy_(-(latent * negative).sum() / negative.sum().clamp(min=1))

    def _signs(self) -> tuple[Tensor, Tensor]:
        """Returns two masks of the weights' shape: above the threshold, and below its negative."""
        latent = self.weight.detach()
        threshold = TTQ_THRESHOLD * latent.abs().max()
        return latent > threshold, latent < -threshold

    def ternary_weight(self) -> Tensor:
        positive, negative = self._signs()
        values = positive * self._averaging(self.positive_scale) - negative * self._averaging(self.negative_scale)
        return values + _straight_through(self.weight)

    def _averaging(self, scale: Tensor) -> Tensor:
        """Returns the scale's magnitude, whose gradient is a mean over the layer's weights instead of a sum."""
        magnitude = scale.abs()
        return magnitude.detach() + _straight_through(magnitude) / self.weight.numel()


CONVOLUTIONS: dict[str, type[TernaryConvolution]] = {"twn": TwnConvolution, "ttq": TtqConvolution}


def _straight_through(latent: Tensor) -> Tensor:
    """Returns zeros whose gradient flows to `latent` unchanged; adding them alters no bit of the sum."""
    return latent - latent.detach()
