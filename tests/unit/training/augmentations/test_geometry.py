"""Rotation and affine maps, image by image, against torchvision."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from cifar_tune.training.augmentations.affine import Affine, affine_maps
from cifar_tune.training.augmentations.rotation import Rotation
from cifar_tune.training.augmentations.warp import rotations, warped
from cifar_tune.training.batch import Batch

MODES = [("bilinear", InterpolationMode.BILINEAR), ("nearest", InterpolationMode.NEAREST)]


def pictures(count, height=16, width=16):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def batch(images):
    count = len(images)
    return Batch(images, torch.zeros(count, 1, dtype=torch.int64), torch.ones(count, 1), torch.arange(count), 1)


def assert_nearly_all_equal(ours, theirs):
    """Where a source lies midway between two pixels, rounding may pick either."""
    assert ((ours - theirs).abs() < 1e-4).float().mean() > 0.995


@pytest.mark.parametrize(("ours", "theirs"), MODES)
@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_rotations_equal_torchvisions(ours, theirs, shape):
    images, angles = pictures(6, *shape), torch.tensor([-170.0, -90, -15, 0, 7.5, 45])
    expected = [functional.rotate(image, angle.item(), theirs) for image, angle in zip(images, angles, strict=True)]
    assert_nearly_all_equal(warped(images, rotations(angles), ours), torch.stack(expected))


@pytest.mark.parametrize(("ours", "theirs"), MODES)
@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_affine_maps_equal_torchvisions(ours, theirs, shape):
    generator = torch.Generator().manual_seed(1)
    images = pictures(20, *shape)
    degrees, shear = (torch.rand(2, 20, generator=generator) - 0.5) * 60
    right, down = ((torch.rand(2, 20, generator=generator) - 0.5) * 8).round()
    scale = torch.rand(20, generator=generator) + 0.5
    expected = [
        functional.affine(image, d.item(), [int(x), int(y)], s.item(), [h.item(), 0.0], theirs)
        for image, d, x, y, s, h in zip(images, degrees, right, down, scale, shear, strict=True)
    ]
    maps = affine_maps(degrees, right, down, scale, shear)
    assert_nearly_all_equal(warped(images, maps, ours), torch.stack(expected))


def test_reflection_fills_corners_with_the_image():
    images = torch.ones(8, 3, 16, 16)
    angles = torch.linspace(-180, 180, 8)
    torch.testing.assert_close(warped(images, rotations(angles), "bilinear", "reflect"), images)
    assert warped(images, rotations(angles), "bilinear", "zero").amin() == 0


def test_bytes_stay_bytes_and_a_quarter_turn_is_exact():
    images = (pictures(2) * 255).to(torch.uint8)
    result = warped(images, rotations(torch.full((2,), 90.0)), "nearest")
    assert torch.equal(result, images.rot90(1, (2, 3)))


def test_rotation_draws_angles_to_both_sides():
    images = torch.zeros(2000, 1, 33, 33)
    images[:, 0, 16, 32] = 1  # due east of the centre
    result = (
        Rotation(degrees=30.0, interpolation="nearest").apply(batch(images), torch.Generator().manual_seed(0)).images
    )
    north = result[:, 0, :16].sum((1, 2)) > 0
    south = result[:, 0, 17:].sum((1, 2)) > 0
    assert 0.4 < north.float().mean() < 0.6
    assert 0.4 < south.float().mean() < 0.6
    assert result[:, 0, :7].sum() == 0  # 16 sin 30 = 8 rows north at most


def test_affine_by_default_changes_nothing():
    images = pictures(5)
    torch.testing.assert_close(Affine().apply(batch(images), torch.Generator().manual_seed(0)).images, images)


def test_translation_is_by_whole_pixels_up_to_its_share():
    images = torch.zeros(3000, 1, 21, 21)
    images[:, 0, 10, 10] = 1
    result = (
        Affine(translate=0.2, interpolation="nearest").apply(batch(images), torch.Generator().manual_seed(0)).images
    )
    assert torch.equal(result.sum((1, 2, 3)), torch.ones(3000))
    reached = (result.sum((0, 1)) > 0).nonzero()
    assert (reached.min().item(), reached.max().item()) == (6, 14)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"smallest_scale": 1.2}, "smallest_scale 1.2 is above largest_scale 1.0"),
        ({"shear": 90.0}, "less than 90"),
        ({"translate": 1.5}, "less than or equal to 1"),
        ({"degrees": -1.0}, "greater than or equal to 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, expected):
    with pytest.raises(ValidationError, match=expected):
        Affine(**options)
