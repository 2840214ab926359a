"""How strongly an operation acts at each level: the published ranges."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cifar_tune.training.augmentations.draws import chosen
from cifar_tune.training.augmentations.operations import INDEX
from cifar_tune.training.batch import Batch
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

Ranges = dict[str, tuple[float, float]]
"""For each operation its magnitude at the lowest level and at the highest."""

SIGNED = frozenset(
    ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "contrast", "color", "sharpness")
)
"""Operations that act in either direction, each with probability 1/2."""


def standard_ranges(height: int, width: int) -> Ranges:
    """Returns the ranges of AutoAugment and RandAugment. Source: Cubuk et al. 2019 (arXiv:1805.09501, table 6).

    The factors are as torchvision has them, 0.1 to 1.9 about no change, as are the translations, given for 331 pixels.
    """
    return {
        "identity": (0, 0),
        "shear_x": (0, 0.3),
        "shear_y": (0, 0.3),
        "translate_x": (0, 150 / 331 * width),
        "translate_y": (0, 150 / 331 * height),
        "rotate": (0, 30),
        "brightness": (0, 0.9),
        "contrast": (0, 0.9),
        "color": (0, 0.9),
        "sharpness": (0, 0.9),
        "posterize": (8, 4),
        "solarize": (1, 0),
        "auto_contrast": (0, 0),
        "equalize": (0, 0),
    }


def wide_ranges() -> Ranges:
    """Returns the ranges of TrivialAugment. Source: Mueller and Hutter 2021 (arXiv:2103.10158, the wide space)."""
    return {
        "identity": (0, 0),
        "shear_x": (0, 0.99),
        "shear_y": (0, 0.99),
        "translate_x": (0, 32),
        "translate_y": (0, 32),
        "rotate": (0, 135),
        "brightness": (0, 0.99),
        "contrast": (0, 0.99),
        "color": (0, 0.99),
        "sharpness": (0, 0.99),
        "posterize": (8, 2),
        "solarize": (1, 0),
        "auto_contrast": (0, 0),
        "equalize": (0, 0),
    }


def magnitudes(
    ranges: Ranges, operations: Tensor, strength: Tensor | float, batch: Batch, generator: Generator
) -> Tensor:
    """Returns (N,) float32 magnitudes of `operations` at `strength`, 0 for the lowest level and 1 for the highest."""
    by_index = [ranges.get(name, (0, 0)) for name in INDEX]
    lowest, highest = (on_device(ends, torch.float32, operations.device) for ends in zip(*by_index, strict=True))
    signed = on_device(tuple(name in SIGNED for name in INDEX), torch.bool, operations.device)
    magnitude = torch.lerp(lowest[operations], highest[operations], strength)
    whole = operations == INDEX["posterize"]
    negative = signed[operations] & chosen(batch, 0.5, generator)
    return torch.where(whole, magnitude.round(), magnitude) * torch.where(negative, -1.0, 1.0)


@lru_cache
def on_device(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns a table as a tensor; each is copied to a device once, for copying makes the host wait."""
    return torch.tensor(values, dtype=dtype, device=device)
