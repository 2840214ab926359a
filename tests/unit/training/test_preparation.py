"""From pixels to what a network takes."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from cifar_tune.training.augmentations.color_jitter import ColorJitter
from cifar_tune.training.augmentations.flip import Flip
from cifar_tune.training.batch import Batch
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.preparation import Normalization, augmented

CPU = torch.device("cpu")
INFO = DatasetInfo(("a",), 3, 8, (0.1, 0.5, 0.9), (0.2, 0.3, 0.4), 1)


def batch() -> Batch:
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Batch(images, torch.zeros(5, 1, dtype=torch.int64), torch.ones(5, 1), torch.arange(5), 1)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("as_float", [True, False])
def test_normalisation_equals_torchvision(channels_last: bool, as_float: bool) -> None:
    pixels = batch().images
    found = Normalization(INFO, CPU, channels_last=channels_last)(pixels / 255 if as_float else pixels)
    expected = v2.Normalize(INFO.mean, INFO.std)(v2.ToDtype(torch.float32, scale=True)(pixels))
    torch.testing.assert_close(found, expected)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)


def test_normalisation_leaves_its_input_alone() -> None:
    images = batch().images / 255
    before = images.clone()
    Normalization(INFO, CPU, channels_last=False)(images)
    assert torch.equal(images, before)


def test_pixels_stay_bytes_until_an_augmentation_needs_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    jitter = ColorJitter(brightness=0.5)
    assert augmented(batch(), [Flip()], generator).images.dtype == torch.uint8
    changed = augmented(batch(), [Flip(), jitter, Flip()], generator).images
    assert changed.dtype == torch.float32
    assert changed.amax() <= 1


def test_augmentations_apply_in_order() -> None:
    twice = [Flip(p=1.0), Flip(p=1.0)]
    assert torch.equal(augmented(batch(), twice, torch.Generator()).images, batch().images)
    assert torch.equal(augmented(batch(), twice[:1], torch.Generator()).images, batch().images.flip(3))
