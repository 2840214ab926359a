"""The draws behind the augmentations, against the distributions they are named after."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from cifar_tune.training.augmentations.draws import beta, chosen, integers
from cifar_tune.training.batch import Batch


def batch(count):
    return Batch(torch.zeros(count, 1, 1, 1), torch.zeros(count, 1), torch.ones(count, 1), torch.arange(count), 1)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0, 30.0])
def test_beta_follows_its_distribution(alpha):
    draws = beta(batch(20_000), alpha, torch.Generator().manual_seed(0))
    # in single precision some draws at alpha 0.1 round to exactly 0 or 1, where a continuous distribution has no mass
    inside = draws[(draws > 1e-6) & (draws < 1 - 1e-6)].double()
    share = stats.beta(alpha, alpha).cdf(1 - 1e-6) - stats.beta(alpha, alpha).cdf(1e-6)
    assert len(inside) / len(draws) == pytest.approx(share, abs=0.01)
    conditional = lambda x: (stats.beta(alpha, alpha).cdf(x) - stats.beta(alpha, alpha).cdf(1e-6)) / share  # noqa: E731
    assert stats.kstest(inside.numpy(), conditional).pvalue > 0.001


def test_beta_is_finite_and_symmetric_for_the_smallest_alpha():
    draws = beta(batch(10_000), 0.001, torch.Generator().manual_seed(0))
    assert ((draws == 0) | (draws == 1) | ((draws > 0) & (draws < 1))).all()
    assert draws.mean().item() == pytest.approx(0.5, abs=0.02)


def test_chosen_and_integers_are_uniform():
    generator = torch.Generator().manual_seed(0)
    assert chosen(batch(20_000), 0.3, generator).float().mean().item() == pytest.approx(0.3, abs=0.01)
    counts = torch.bincount(integers(batch(20_000), 9, generator), minlength=9)
    assert len(counts) == 9
    assert stats.chisquare(counts.numpy()).pvalue > 0.001


def test_probabilities_zero_and_one_are_certain():
    generator = torch.Generator().manual_seed(0)
    assert not chosen(batch(10_000), 0.0, generator).any()
    assert chosen(batch(10_000), 1.0, generator).all()
