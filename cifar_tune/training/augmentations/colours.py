"""Changes of colour with one factor an image, for (N, C, H, W) float32 in [0, 1].

A factor of 1 changes nothing, nor do saturation and hue where C is 1. Each does what its namesake in
torchvision.transforms.v2.functional does to one image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Of red, green and blue. Source: ITU-R BT.601, as torchvision rounds it."""


SMALLEST_CHROMA = 1e-12
"""Keeps greys, whose hue means nothing, from being divided by."""


def luminance(images: Tensor) -> Tensor:
    """Returns (N, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]).unsqueeze(1)


def brightened(images: Tensor, factors: Tensor) -> Tensor:
    """Returns the images times (N,) `factors`."""
    return (images * factors[:, None, None, None]).clamp_(0, 1)


def contrasted(images: Tensor, factors: Tensor) -> Tensor:
    """Returns the images' distance from their mean luminance times (N,) `factors`."""
    return luminance(images).mean((1, 2, 3), keepdim=True).lerp(images, factors[:, None, None, None]).clamp_(0, 1)


def saturated(images: Tensor, factors: Tensor) -> Tensor:
    """Returns the images' distance from their own luminance times (N,) `factors`."""
    if images.shape[1] == 1:
        return images
    return luminance(images).lerp(images, factors[:, None, None, None]).clamp_(0, 1)


def hue_shifted(images: Tensor, shifts: Tensor) -> Tensor:
    """Returns the images with hues moved by (N,) `shifts`, in turns of the colour circle.

    With hues in sixths of a turn, a channel is at the pixel's highest value up to 1 away from its own hue, which is 0
    for red, 2 for green and 4 for blue, at the lowest from 2 away, and falls evenly in between.
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)  # five times as fast as amax over an axis of three
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = high - low
    slope = chroma.clamp(min=SMALLEST_CHROMA).reciprocal_()
    hue = torch.where(high == green, (blue - red).mul_(slope).add_(2), (red - green).mul_(slope).add_(4))
    hue = torch.where(high == red, (green - blue).mul_(slope), hue).add_(6 * shifts[:, None, None])
    channels = []
    for own_hue in (0, 2, 4):
        opposite = hue - (own_hue - 3)
        distance = opposite.sub_((opposite / 6).floor_().mul_(6)).sub_(3).abs_()
        channels.append(torch.addcmul(low, chroma, (2 - distance).clamp_(0, 1)))
    return torch.stack(channels, 1)
