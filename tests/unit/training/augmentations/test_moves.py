"""Crop, flip, cutout and random erasing, against torch's padding and the papers' rules."""

from __future__ import annotations

import itertools

import pytest
import torch
from pydantic import ValidationError

from cifar_tune.errors import DatasetError
from cifar_tune.training.augmentations.crop import Crop, pad, windows
from cifar_tune.training.augmentations.cutout import Cutout
from cifar_tune.training.augmentations.flip import Flip
from cifar_tune.training.augmentations.random_erasing import RandomErasing
from cifar_tune.training.batch import Batch
from cifar_tune.training.datasets.dataset import DatasetInfo


def batch(images, epoch=1):
    count = len(images)
    return Batch(images, torch.zeros(count, 1, dtype=torch.int64), torch.ones(count, 1), torch.arange(count), epoch)


def pictures(count, channels=3, height=12, width=10):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("mode", "name"), [("zero", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_window_is_a_slice_of_the_padded_image(mode, name, layout):
    images = pictures(49).contiguous(memory_format=layout)
    tops, lefts = torch.arange(49) // 7, torch.arange(49) % 7
    result = windows(pad(images, 3, mode), tops, lefts, 3)
    padded = torch.nn.functional.pad(images.float(), (3, 3, 3, 3), mode=name).to(torch.uint8)
    for image, top, left, whole in zip(result, tops, lefts, padded, strict=True):
        assert torch.equal(image, whole[:, top : top + 12, left : left + 10])


def test_crops_are_uniform_over_all_places():
    images = torch.zeros(20_000, 1, 5, 5, dtype=torch.uint8)
    images[:, :, 2, 2] = 1
    result = Crop(padding=2).apply(batch(images), seeded()).images
    share = result.float().mean((0, 1))
    assert share.numpy() == pytest.approx(1 / 25, abs=0.006)


def test_reflection_wider_than_the_image_is_refused():
    info = DatasetInfo(("a", "b"), 1, 8, (0.5,), (0.5,), 100)
    Crop(padding=7, mode="reflect").check(info)
    Crop(padding=8).check(info)
    with pytest.raises(
        DatasetError, match=r"reflect padding of 8 pixels needs images of at least 9 x 9 pixels; .* is 8"
    ):
        Crop(padding=8, mode="reflect").check(info)


def test_a_padding_wider_than_the_image_is_refused():
    info = DatasetInfo(("a", "b"), 1, 8, (0.5,), (0.5,), 100)
    with pytest.raises(
        DatasetError, match=r"padding of 9 pixels a window may hold no pixel .* resolution, 8, is allowed"
    ):
        Crop(padding=9).check(info)


def test_a_cutout_larger_than_the_image_is_refused():
    info = DatasetInfo(("a", "b"), 1, 8, (0.5,), (0.5,), 100)
    Cutout(size=8).check(info)
    with pytest.raises(
        DatasetError, match=r"square of 9 pixels would blank whole images; at most .* resolution, 8, is"
    ):
        Cutout(size=9).check(info)


def test_flip_mirrors_its_share_and_leaves_the_rest():
    images = pictures(2000)
    result = Flip(p=0.3).apply(batch(images), seeded()).images
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    assert torch.equal(result[~mirrored], images[~mirrored])
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.04)


def test_alternating_flip_shows_every_image_both_ways_in_any_two_epochs():
    images = pictures(2000)
    epochs = [Flip(alternating=True).apply(batch(images, epoch), seeded(epoch)).images for epoch in (1, 2, 3)]
    for one, other in itertools.pairwise(epochs):
        assert torch.equal(one, other.flip(3))
    assert (epochs[0] != images).flatten(1).any(1).float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_alternating_flip_follows_the_position_and_not_the_place_in_the_batch():
    images = pictures(100)
    order = torch.randperm(100, generator=seeded())
    whole = Flip(alternating=True).apply(batch(images), seeded()).images
    shuffled = Batch(images[order], torch.zeros(100, 1), torch.ones(100, 1), order, 1)
    assert torch.equal(Flip(alternating=True).apply(shuffled, seeded(1)).images, whole[order])


def test_alternating_flip_takes_no_probability():
    with pytest.raises(ValidationError, match="p has no effect with alternating: true; leave it out"):
        Flip(alternating=True, p=0.4)


@pytest.mark.parametrize("size", [1, 4, 5, 30])
def test_cutout_blanks_a_square_about_a_centre_anywhere(size):
    images = pictures(3000)
    result = Cutout(size=size, fill="zero").apply(batch(images), seeded()).images
    blank = (result == 0).all(1)
    assert torch.equal(result, images * ~blank[:, None])
    rows, columns = blank.any(2).sum(1), blank.any(1).sum(1)
    assert torch.equal(blank.sum((1, 2)), rows * columns)
    assert rows.min() == min(12, size - size // 2)
    assert (rows.max(), columns.max()) == (min(12, size), min(10, size))


def test_cutout_in_the_mean_colour_keeps_the_mean():
    images = pictures(500)
    images[:, 0] //= 2
    result = Cutout(size=6).apply(batch(images), seeded()).images
    changed = (result != images).any(1)
    expected = images.float().mean((0, 2, 3)).to(torch.uint8)
    assert torch.equal(result.movedim(1, 3)[changed], expected.expand(int(changed.sum()), 3))


def test_cutout_spares_the_images_it_does_not_choose():
    images = pictures(2000)
    whole = (Cutout(size=4, p=0.25, fill="zero").apply(batch(images), seeded()).images == images).flatten(1).all(1)
    assert whole.float().mean().item() == pytest.approx(0.75, abs=0.04)


def test_random_erasing_blanks_a_rectangle_of_the_given_areas_and_ratios():
    images = pictures(4000, height=40, width=32)
    result = RandomErasing(p=1.0, fill="zero").apply(batch(images), seeded()).images
    blank = (result == 0).all(1)
    assert torch.equal(result, images * ~blank[:, None])
    rows, columns = blank.any(2).sum(1), blank.any(1).sum(1)
    assert torch.equal(blank.sum((1, 2)), rows * columns)  # a rectangle, whole
    assert rows.min() > 0
    area, ratio = rows * columns / 1280, rows / columns
    assert 0.015 < area.min() < 0.03
    assert 0.28 < area.max() < 0.36
    # sides are rounded to pixels: 3 rows for 3.5 change a ratio by a sixth
    assert 0.25 < ratio.min() < 0.4
    assert 2.5 < ratio.max() < 4


def test_random_erasing_reaches_every_corner_evenly():
    images = pictures(20_000, channels=1, height=16, width=16)
    blank = (RandomErasing(p=1.0, fill="zero").apply(batch(images), seeded()).images == 0).float().mean((0, 1))
    corners = blank[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() - corners.min() < 0.01
    assert corners.min() > 0.005


def test_random_erasing_spares_its_share():
    images = pictures(4000)
    whole = (RandomErasing(p=0.3, fill="zero").apply(batch(images), seeded()).images == images).flatten(1).all(1)
    assert whole.float().mean().item() == pytest.approx(0.7, abs=0.03)


def test_random_erasing_with_noise_draws_every_value():
    images = torch.zeros(1000, 3, 16, 16, dtype=torch.uint8)
    noise = RandomErasing(p=1.0, fill="noise").apply(batch(images), seeded()).images
    assert len(noise.unique()) == 256


@pytest.mark.parametrize(
    ("member", "options", "expected"),
    [
        (RandomErasing, {"smallest_area": 0.5}, "smallest_area 0.5 is above largest_area 0.33"),
        (RandomErasing, {"p": 1.5}, "less than or equal to 1"),
        (Cutout, {"size": 0}, "greater than or equal to 1"),
        (Cutout, {"p": -0.1}, "greater than or equal to 0"),
        (Crop, {"padding": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(member, options, expected):
    with pytest.raises(ValidationError, match=expected):
        member(**options)
