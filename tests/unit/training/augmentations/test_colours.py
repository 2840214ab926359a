"""Colour jitter, image by image, against torchvision."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torchvision.transforms.v2 import functional

from cifar_tune.training.augmentations.color_jitter import ColorJitter
from cifar_tune.training.augmentations.colours import brightened, contrasted, hue_shifted, saturated
from cifar_tune.training.batch import Batch

FACTORS = torch.tensor([0.0, 0.2, 0.7, 1.0, 1.3, 2.0, 5.0])
SHIFTS = torch.tensor([-0.5, -0.3, -0.1, 0.0, 0.1, 0.3, 0.5])


def pictures(channels):
    images = torch.rand(7, channels, 9, 8, generator=torch.Generator().manual_seed(0))
    images[:, :, 0] = images[:, :1, 0]  # a row of greys
    images[:, :, 1] = images[:, :, 1].round()  # a row of pure colours, black and white
    return images


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("change", "theirs", "factors"),
    [
        (brightened, functional.adjust_brightness, FACTORS),
        (contrasted, functional.adjust_contrast, FACTORS),
        (saturated, functional.adjust_saturation, FACTORS),
        (hue_shifted, functional.adjust_hue, SHIFTS),
    ],
)
def test_each_change_equals_torchvisions_for_each_image(change, theirs, factors, channels):
    images = pictures(channels)
    expected = torch.stack([theirs(image, factor.item()) for image, factor in zip(images, factors, strict=True)])
    torch.testing.assert_close(change(images, factors), expected, rtol=0, atol=2e-6)


def jittered(images, **strengths):
    labels, weights = torch.zeros(len(images), 1, dtype=torch.int64), torch.ones(len(images), 1)
    batch = Batch(images, labels, weights, torch.arange(len(images)), 1)
    return ColorJitter(**strengths).apply(batch, torch.Generator().manual_seed(0)).images


def test_factors_are_drawn_evenly_between_their_bounds():
    images = torch.full((20_000, 3, 1, 1), 0.5)
    factors = jittered(images, brightness=0.4)[:, 0, 0, 0] * 2
    assert (factors.min().item(), factors.max().item()) == pytest.approx((0.6, 1.4), abs=1e-3)
    assert factors.mean().item() == pytest.approx(1, abs=0.01)
    assert factors.var().item() == pytest.approx(0.8**2 / 12, rel=0.05)


def test_a_strength_above_one_reaches_black_and_no_further():
    factors = jittered(torch.full((5_000, 3, 1, 1), 0.2), brightness=2.0)[:, 0, 0, 0] / 0.2
    assert (factors.min().item(), factors.max().item()) == pytest.approx((0, 3), abs=0.01)


def test_without_strength_nothing_changes():
    images = pictures(3)
    assert torch.equal(jittered(images), images)


@pytest.mark.parametrize("options", [{"hue": 0.6}, {"hue": -0.1}, {"contrast": -0.1}])
def test_strengths_out_of_range_are_refused(options):
    with pytest.raises(ValidationError, match="equal to 0"):
        ColorJitter(**options)
