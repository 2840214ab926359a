"""What every augmentation of the union must hold, for every kind of image and label."""

from __future__ import annotations

import typing
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.batch import Batch

AUGMENTATION = TypeAdapter(AnyAugmentation)
ACTIVE = {
    "color_jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.2, "hue": 0.1},
    "affine": {"degrees": 8.0, "translate": 0.15, "smallest_scale": 0.85, "largest_scale": 1.1, "shear": 10.0},
}
NAMES = [member.model_fields["name"].default for member in typing.get_args(typing.get_args(AnyAugmentation)[0])]
LABELS = ["hard", "mixed"]


def augmentation(name, **options):
    return AUGMENTATION.validate_python({"name": name, **ACTIVE.get(name, {}), **options})


def batch(member, count, labels, channels=3, side=12, seed=0):
    """Returns a batch of the image type that the training core hands to `member`."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)
    if not member.moves_pixels_only:
        images = images / 255
    sets = {"hard": 1, "mixed": 2}[labels]
    weights = torch.rand(count, sets, generator=generator) + 0.01
    weights /= weights.sum(1, keepdim=True)
    return Batch(images, torch.randint(0, 10, (count, sets), generator=generator), weights, torch.arange(count), 3)


def apply(member, given_batch, seed=0):
    return member.apply(given_batch, torch.Generator().manual_seed(seed))


def equal(one, other):
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 20), channels=st.sampled_from([1, 3]), side=st.integers(5, 20), seed=st.integers(0, 999))
def test_shape_type_and_range_stay_and_weights_sum_to_one(name, labels, count, channels, side, seed):
    member = augmentation(name)
    before = batch(member, count, labels, channels, side, seed)
    after = apply(member, before, seed)
    assert after.images.shape == before.images.shape
    assert after.images.dtype == before.images.dtype
    if after.images.is_floating_point():
        assert after.images.isfinite().all()
        assert after.images.amin() >= 0
        assert after.images.amax() <= 1
    assert after.labels.dtype == torch.int64
    assert after.weights.dtype == torch.float32
    assert after.labels.shape == after.weights.shape
    assert after.labels.shape[1] in (before.labels.shape[1], 2 * before.labels.shape[1])
    assert (after.weights >= 0).all()
    torch.testing.assert_close(after.weights.sum(1), torch.ones(count))
    assert torch.equal(after.positions, before.positions)
    assert after.epoch == before.epoch


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_pure_function_of_batch_and_generator(name, labels):
    member = augmentation(name)
    before, untouched = (batch(member, 16, labels) for _ in range(2))
    torch.manual_seed(1)
    first = apply(member, before)
    assert equal(before, untouched)
    torch.manual_seed(2)
    assert equal(apply(member, before), first)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_or_epoch_gives_another_result(name):
    member = augmentation(name)
    before = batch(member, 32, "hard")
    assert not equal(apply(member, before, 0), apply(member, before, 1))


@pytest.mark.parametrize("name", NAMES)
def test_only_the_generator_given_is_drawn_from(name):
    state = torch.get_rng_state()
    apply(augmentation(name), batch(augmentation(name), 8, "hard"))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_the_host_never_waits_for_a_value(name):
    """Tensors of the device "meta" have none to give."""
    member = augmentation(name)
    real = batch(member, 8, "mixed")
    hollow = Batch(*(x.to("meta") for x in (real.images, real.labels, real.weights, real.positions)), real.epoch)
    after = apply(member, hollow)
    assert (after.images.shape, after.images.dtype) == (real.images.shape, real.images.dtype)


@pytest.mark.parametrize("name", [name for name in NAMES if "p" in type(augmentation(name)).model_fields])
def test_p_zero_changes_no_pixel_and_no_label_that_weighs(name):
    member = augmentation(name, p=0.0)
    before = batch(member, 16, "mixed")
    after = apply(member, before)
    assert torch.equal(after.images, before.images)
    sets = before.labels.shape[1]
    assert torch.equal(after.labels[:, :sets], before.labels)
    torch.testing.assert_close(after.weights[:, :sets], before.weights)
    assert (after.weights[:, sets:] == 0).all()


@pytest.mark.parametrize("name", [name for name in NAMES if augmentation(name).moves_pixels_only])
def test_one_that_keeps_bytes_takes_floats_too(name):
    """After an augmentation that makes floats of the images, the next one gets floats."""
    member = augmentation(name)
    of_bytes = batch(member, 16, "hard")
    of_floats = Batch(of_bytes.images / 255, of_bytes.labels, of_bytes.weights, of_bytes.positions, of_bytes.epoch)
    one, other = apply(member, of_bytes), apply(member, of_floats)
    torch.testing.assert_close(other.images, one.images / 255, rtol=0, atol=1.01 / 255)
    assert torch.equal(one.weights, other.weights)


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_in_memory_makes_no_difference(name):
    member = augmentation(name)
    before = batch(member, 16, "hard")
    strided = before.images.contiguous(memory_format=torch.channels_last)
    other = Batch(strided, before.labels, before.weights, before.positions, before.epoch)
    torch.testing.assert_close(apply(member, other).images, apply(member, before).images)


@pytest.mark.parametrize("name", NAMES)
def test_it_survives_json(name):
    member = augmentation(name)
    assert AUGMENTATION.validate_json(member.model_dump_json()) == member
