"""Scores against their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cifar_tune.training.data import TrainingData
from cifar_tune.training.evaluate import evaluate, log_probabilities
from cifar_tune.training.precision import NAMED
from cifar_tune.training.preparation import Normalization

CPU = torch.device("cpu")
Data = Callable[..., TrainingData]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 4))


def normalization(data: TrainingData) -> Normalization:
    return Normalization(data.info, CPU, channels_last=True)


def test_the_score_is_that_of_all_images_at_once(small_data: Data) -> None:
    data, model = small_data(train=37), net().eval()
    score = evaluate(model, data.train, normalization(data), batch_size=8)
    logits = model(normalization(data)(data.train.pixels))
    assert score.loss == pytest.approx(F.cross_entropy(logits, data.train.labels).item(), rel=1e-5)
    assert score.accuracy == (logits.argmax(1) == data.train.labels).sum().item() / 37


@pytest.mark.parametrize("batch_size", [1, 5, 37, 1000])
def test_the_batch_size_does_not_matter(small_data: Data, batch_size: int) -> None:
    data, model = small_data(train=37), net()
    expected = log_probabilities(model, data.train, normalization(data))
    found = log_probabilities(model, data.train, normalization(data), batch_size=batch_size)
    torch.testing.assert_close(found, expected)


def test_mirroring_averages_the_probabilities_of_both_views(small_data: Data) -> None:
    data, model = small_data(), net().eval()
    images = normalization(data)(data.train.pixels)
    expected = (model(images).softmax(1) + model(images.flip(3)).softmax(1)) / 2
    found = log_probabilities(model, data.train, normalization(data), mirror=True)
    torch.testing.assert_close(found.exp(), expected)


def test_evaluation_changes_neither_weights_nor_statistics(small_data: Data) -> None:
    data, model = small_data(), net().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, data.train, normalization(data))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_that_knows_nothing_scores_the_logarithm_of_the_classes(small_data: Data) -> None:
    data = small_data()
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    assert evaluate(model, data.train, normalization(data)).loss == pytest.approx(math.log(4))


def test_it_can_compute_in_bfloat16(small_data: Data) -> None:
    data, model = small_data(), net()
    exact, rough = (
        evaluate(model, data.train, normalization(data), arithmetic=NAMED[name]) for name in ("float32", "bfloat16")
    )
    assert exact.loss != rough.loss
    assert exact.loss == pytest.approx(rough.loss, rel=0.02)
