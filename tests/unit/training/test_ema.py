"""The moving average against its formula."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cifar_tune.training.ema import MovingAverage


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def train_a_little(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    model.train()(torch.randn(4, 2, 2, 2, generator=generator))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)


@settings(max_examples=10, deadline=None)
@given(decay=st.floats(0, 0.999), steps=st.integers(1, 8))
def test_it_follows_the_published_recursion(decay: float, steps: int) -> None:
    model = net()
    average = MovingAverage(model, decay)
    expected = {name: tensor.clone().double() for name, tensor in model.state_dict().items()}
    for step in range(1, steps + 1):
        train_a_little(model, step)
        average.update(step)
        share = min(decay, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            expected[name] = share * expected[name] + (1 - share) * tensor.double()
    for name, tensor in average.model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-4, atol=1e-5)


def test_decay_zero_is_the_model_itself() -> None:
    model = net()
    average = MovingAverage(model, 0.0)
    for step in range(1, 4):
        train_a_little(model, step)
        average.update(step)
    for name, tensor in average.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_its_batchnorm_statistics_are_its_own() -> None:
    model = net()
    average = MovingAverage(model, 0.9)
    before = average.model.state_dict()["1.running_mean"].clone()
    train_a_little(model, 0)
    assert torch.equal(average.model.state_dict()["1.running_mean"], before)
    average.update(1)
    moved = average.model.state_dict()["1.running_mean"]
    torch.testing.assert_close(moved, before.lerp(model.state_dict()["1.running_mean"], 9 / 11))


def test_it_is_for_evaluation_alone() -> None:
    average = MovingAverage(net().train(), 0.9)
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_keeps_the_memory_layout(layout: torch.memory_format) -> None:
    model = nn.Conv2d(3, 4, 3).to(memory_format=layout)
    assert next(MovingAverage(model, 0.9).model.parameters()).is_contiguous(memory_format=layout)
