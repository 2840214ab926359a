"""Whole arrays at another size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cifar_tune.training.datasets.resize import resized


@pytest.mark.parametrize("resolution", [16, 48, 64])
def test_resizing_equals_pillows_image_by_image(resolution: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    size = (resolution, resolution)
    expected = [
        np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        for image in pixels
    ]
    # Both compute in fixed point and round; a processor without vector instructions rounds some pixels otherwise.
    assert np.abs(resized(pixels, resolution).astype(int) - np.stack(expected)).max() <= 1


def test_images_that_fit_are_not_copied() -> None:
    pixels = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    assert resized(pixels, 8) is pixels
