"""The strided 1x1 convolution of few channels, which oneDNN's own gradient would crash on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cifar_tune.training.networks.resnet import SIMD_BLOCK, Convolution


@pytest.mark.parametrize("channels", [1, 4, SIMD_BLOCK - 1, SIMD_BLOCK])
@pytest.mark.parametrize("side", [32, 57, 64])
def test_it_equals_torchs_convolution_forwards_and_backwards(channels: int, side: int) -> None:
    images = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0), requires_grad=True)
    convolution = Convolution(channels, 6, 1, 2)
    reference = F.conv2d(images, convolution.weight, stride=2)
    expected = torch.autograd.grad(reference.square().sum(), (images, convolution.weight))
    result = convolution(images)
    found = torch.autograd.grad(result.square().sum(), (images, convolution.weight))
    torch.testing.assert_close(result, reference)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [4, 8, 12])
def test_its_gradient_stays_within_its_memory(channels: int) -> None:
    """A stride inside the 1x1 kernel ends the process within a few of these."""
    convolution = Convolution(channels, 2 * channels, 1, 2).to(memory_format=torch.channels_last)
    for _ in range(10):
        images = torch.randn(8, channels, 128, 128).contiguous(memory_format=torch.channels_last)
        convolution(images).square().mean().backward()
    assert convolution.weight.grad is not None
    assert convolution.weight.grad.isfinite().all()
