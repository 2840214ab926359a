"""What one validation image is worth, where there are few. Without torch and pandas, for the progress of a sweep."""

from __future__ import annotations

FEW_IMAGES = 1000
"""Of fewer images one is worth more than 0.1 points, the last digit by which accuracies are compared in print."""


def image_worth(images: int, split: str = "validation") -> str:
    """Returns a sentence on what one of so many images of a split is worth."""
    return f"There are {images} {split} images, so one image is worth {100 / images:.1f} points."
