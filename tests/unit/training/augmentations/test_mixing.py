"""MixUp and CutMix, against their papers' formulas."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from cifar_tune.training.augmentations.cutmix import CutMix
from cifar_tune.training.augmentations.mixup import MixUp
from cifar_tune.training.augmentations.mixup_or_cutmix import MixUpOrCutMix
from cifar_tune.training.batch import Batch


def constant_images(count, side=16, channels=1):
    """Returns a batch in which image i has the value i / count throughout, and the label i."""
    values = torch.arange(count) / count
    images = values.view(-1, 1, 1, 1).expand(count, channels, side, side).clone()
    return Batch(images, torch.arange(count)[:, None], torch.ones(count, 1), torch.arange(count), 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_mixup_blends_pixels_and_labels_in_the_same_ratio():
    batch = constant_images(64)
    mixed = MixUp(alpha=0.4).apply(batch, seeded())
    assert torch.equal(mixed.labels, torch.stack((torch.arange(64), torch.arange(-1, 63) % 64), 1))
    expected = (mixed.weights * mixed.labels / 64).sum(1)  # values are proportional to labels
    torch.testing.assert_close(mixed.images, expected.view(-1, 1, 1, 1).expand(64, 1, 16, 16))


def test_mixup_draws_its_ratios_from_beta():
    weights = MixUp(alpha=2.0).apply(constant_images(5000, side=1), seeded()).weights
    assert stats.kstest(weights[:, 0].numpy(), stats.beta(2, 2).cdf).pvalue > 0.001


def test_cutmix_pastes_one_rectangle_and_weighs_labels_by_their_pixels():
    mixed = CutMix().apply(constant_images(256, side=20), seeded())
    pasted = mixed.images != torch.arange(256).view(-1, 1, 1, 1) / 256
    assert torch.equal(mixed.images[pasted], (mixed.labels[:, 1] / 256).view(-1, 1, 1, 1).expand_as(pasted)[pasted])
    rows, columns = pasted[:, 0].any(2).sum(1), pasted[:, 0].any(1).sum(1)
    assert torch.equal(pasted.sum((1, 2, 3)), rows * columns)
    torch.testing.assert_close(mixed.weights[:, 1], rows * columns / 400)
    torch.testing.assert_close(mixed.weights.sum(1), torch.ones(256))


def test_cutmix_rectangles_have_the_images_proportions_and_a_uniform_share_before_the_border():
    """With alpha 1 the share is uniform, so that a side has a mean of 2/3; the border cuts off 1/4 of it on average.

    A side s, with its centre uniform in [0, 1], keeps s - s^2 / 4 of itself on average; with s^2 uniform the mean is
    2/3 - 1/8.
    """
    mixed = CutMix().apply(constant_images(20_000, side=32), seeded())
    pasted = (mixed.images != torch.arange(20_000).view(-1, 1, 1, 1) / 20_000)[:, 0]
    rows, columns = pasted.any(2).sum(1) / 32, pasted.any(1).sum(1) / 32
    # whole pixels: halves are rounded down, by half a pixel on average
    assert rows.mean().item() == pytest.approx(2 / 3 - 1 / 8, abs=1 / 32 + 0.005)
    assert rows.mean().item() == pytest.approx(columns.mean().item(), abs=0.01)


@pytest.mark.parametrize("member", [MixUp(p=0.3), CutMix(p=0.3), MixUpOrCutMix(p=0.3)])
def test_p_is_the_share_of_images_treated(member):
    weights = member.apply(constant_images(4000), seeded()).weights
    # CutMix rectangles of less than two pixels a side, 1 share in 64, paste nothing
    assert (weights[:, 1] > 0).float().mean().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("member", [MixUp(p=0.0), CutMix(p=0.0), MixUpOrCutMix(p=0.0)])
def test_untreated_images_keep_their_pixels_and_their_label(member):
    batch = constant_images(64)
    mixed = member.apply(batch, seeded())
    assert torch.equal(mixed.images, batch.images)
    assert torch.equal(mixed.weights, torch.tensor([1.0, 0.0]).expand(64, 2))


def test_the_choice_between_both_is_made_for_every_image():
    mixed = MixUpOrCutMix(cutmix_share=0.25, mixup_alpha=1.0).apply(constant_images(4000), seeded())
    own = torch.arange(4000).view(-1, 1, 1, 1) / 4000
    changed = (mixed.images != own).flatten(1)
    by_mixup = changed.all(1)
    by_cutmix = changed.any(1) & ~by_mixup
    assert by_mixup.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert by_cutmix.float().mean().item() == pytest.approx(0.25, abs=0.03)
    pasted = changed.float().mean(1)
    torch.testing.assert_close(mixed.weights[by_cutmix, 1], pasted[by_cutmix])


@pytest.mark.parametrize("member", [CutMix(), MixUp(), MixUpOrCutMix()])
def test_mixing_twice_makes_four_label_sets(member):
    mixed = member.apply(CutMix().apply(constant_images(32), seeded(0)), seeded(1))
    assert mixed.labels.shape == (32, 4)
    torch.testing.assert_close(mixed.weights.sum(1), torch.ones(32))


@pytest.mark.parametrize("member", [CutMix, MixUp, MixUpOrCutMix])
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_probability_outside_of_0_to_1_is_refused(member, p):
    with pytest.raises(ValidationError, match=r"p\n.*(less|greater) than or equal to"):
        member(p=p)


@pytest.mark.parametrize(("member", "name"), [(CutMix, "alpha"), (MixUp, "alpha"), (MixUpOrCutMix, "mixup_alpha")])
def test_alpha_must_be_positive(member, name):
    with pytest.raises(ValidationError, match="greater than 0"):
        member(**{name: 0.0})
