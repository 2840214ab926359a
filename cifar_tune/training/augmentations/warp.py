"""Affine maps of images, one an image, in a single sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["bilinear", "nearest"]
Padding = Literal["zero", "reflect"]


@dataclass(frozen=True)
class Maps:
    """Where each pixel of a result comes from: x' = xx x + xy y + x0, y' = yx x + yy y + y0.

    All are (N,) float32; coordinates are pixels from the image's centre, to the right and down.
    """

    xx: Tensor
    xy: Tensor
    x0: Tensor
    yx: Tensor
    yy: Tensor
    y0: Tensor


def rotations(angles: Tensor) -> Maps:
    """Returns rotations by (N,) `angles` in degrees, counter-clockwise, about the centre."""
    angles = torch.deg2rad(angles)
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return Maps(cosine, -sine, zero, sine, cosine, zero)


def warped(images: Tensor, maps: Maps, interpolation: Interpolation, padding: Padding = "zero") -> Tensor:
    """Returns (N, C, H, W) images sampled where `maps` say, of the type given; beyond the border black or mirrored."""
    height, width = images.shape[2:]
    # torch counts coordinates in halves of the height and the width
    x_row = (maps.xx, maps.xy * height / width, maps.x0 * 2 / width)
    y_row = (maps.yx * width / height, maps.yy, maps.y0 * 2 / height)
    matrices = torch.stack(x_row + y_row, 1).view(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(matrices, list(images.shape), align_corners=False)
    mode = {"zero": "zeros", "reflect": "reflection"}[padding]
    sample = torch.nn.functional.grid_sample(images.float(), grid, interpolation, mode, align_corners=False)
    return sample.round_().to(images.dtype) if images.dtype == torch.uint8 else sample
