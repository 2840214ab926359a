"""Cross-entropy of mixed and smoothed labels, against torch's with class probabilities."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.losses.cross_entropy import CrossEntropy

INFO = DatasetInfo(tuple("abcdefg"), 3, 8, (0.5,) * 3, (0.25,) * 3, 100)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("sets", [1, 2, 4])
def test_it_equals_torchs_with_the_labels_as_probabilities(sets, label_smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(16, 7, generator=generator)
    labels = torch.randint(7, (16, sets), generator=generator)
    weights = torch.rand(16, sets, generator=generator)
    weights /= weights.sum(1, keepdim=True)
    probabilities = torch.zeros(16, 7).scatter_add_(1, labels, weights)
    expected = torch.nn.functional.cross_entropy(logits, probabilities, label_smoothing=label_smoothing)

    loss = CrossEntropy(label_smoothing=label_smoothing).build(INFO, "cpu", load_model)
    images = torch.zeros(16, 3, 8, 8)
    value, returned = loss(lambda _: logits, images, Batch(images, labels, weights, torch.arange(16), 1))
    torch.testing.assert_close(value, expected)
    assert returned is logits


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.0])
def test_smoothing_out_of_range_is_refused(label_smoothing):
    with pytest.raises(ValidationError, match="label_smoothing"):
        CrossEntropy(label_smoothing=label_smoothing)
