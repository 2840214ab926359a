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

    Source of the way back from hue: the closed form f(n) = v - c max(0, min(k, 4 - k, 1)), k = (n + h) mod 6, for
    n = 5, 3, 1 (red, green, blue) and hue h in sixths of a turn.
    """
    if images.shape[1] == 1:
        return images
    low, high = images.aminmax(dim=1)
    chroma = high - low
    red, green, blue = images.unbind(1)
    slope = 1 / chroma.clamp(min=1e-12)
    hue = torch.where(high == green, (blue - red) * slope + 2, (red - green) * slope + 4)
    hue = torch.where(high == red, (green - blue) * slope, hue) + 6 * shifts[:, None, None]
    channels = []
    for n in (5, 3, 1):
        k = (hue + n).remainder_(6)
        channels.append(high - chroma * torch.minimum(k, 4 - k).clamp_(0, 1))
    return torch.stack(channels, 1)
