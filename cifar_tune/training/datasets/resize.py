"""Whole arrays of images at another size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def resized(pixels: np.ndarray, resolution: int) -> np.ndarray:
    """Returns `pixels` at H = W = `resolution`, bilinear and antialiased as Pillow does it; itself if they are so.

    pixels: (N, C, H, W) uint8.
    """
    if pixels.shape[-2:] == (resolution, resolution):
        return pixels
    import torch
    from torch.nn.functional import interpolate

    size = (resolution, resolution)
    return interpolate(torch.from_numpy(pixels), size=size, mode="bilinear", antialias=True).numpy()
