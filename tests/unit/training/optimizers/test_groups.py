"""Which parameters are decayed, which trained, and what a resumed optimizer keeps."""

from __future__ import annotations

import copy

import pytest
import torch

from cifar_tune.training.optimizers.adamw import AdamW
from cifar_tune.training.optimizers.sgd import Sgd


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 4, 3))


def test_norms_and_biases_can_be_spared_weight_decay():
    model = net()
    decayed, spared = Sgd(lr=0.1, weight_decay=0.01, decay_norms_and_biases=False).build(model).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(model[0].weight), id(model[2].weight)}
    assert len(spared["params"]) == 4


def test_by_default_everything_is_decayed():
    (group,) = Sgd(lr=0.1, weight_decay=0.01).build(net()).param_groups
    assert len(group["params"]) == 6
    assert group["weight_decay"] == 0.01


def test_frozen_parameters_are_not_trained():
    model = net()
    model[0].requires_grad_(False)
    (group,) = Sgd(lr=0.1).build(model).param_groups
    assert len(group["params"]) == 4


def test_a_resumed_optimizer_keeps_the_hyper_parameters_it_was_built_with():
    before = AdamW(lr=0.1, weight_decay=0.3, beta1=0.8).build(net())
    after = AdamW(lr=0.2, weight_decay=0.4, beta1=0.7).build(net())
    after.load_state_dict(before.state_dict())
    (group,) = after.param_groups
    assert (group["lr"], group["initial_lr"], group["weight_decay"], group["betas"]) == (0.2, 0.2, 0.4, (0.7, 0.999))


def test_a_state_of_another_model_is_refused():
    with pytest.raises(ValueError, match="doesn't match the size"):
        Sgd(lr=0.1).build(net()[:2]).load_state_dict(Sgd(lr=0.1).build(net()).state_dict())
    with pytest.raises(ValueError, match="different number of parameter groups"):
        Sgd(lr=0.1).build(net()).load_state_dict(Sgd(lr=0.1, decay_norms_and_biases=False).build(net()).state_dict())


@pytest.mark.parametrize("schema", [Sgd(lr=0.1), AdamW(lr=0.1)])
def test_running_averages_take_the_layout_of_their_parameters(schema):
    """A fused kernel pairs elements by their place in memory."""
    contiguous, strided = net().double(), net().double().to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def train(model, optimizer):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()

    optimizers = schema.build(contiguous), schema.build(strided)
    train(contiguous, optimizers[0])
    strided.load_state_dict(contiguous.state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    train(contiguous, optimizers[0])
    train(strided, optimizers[1])
    for one, other in zip(contiguous.parameters(), strided.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
