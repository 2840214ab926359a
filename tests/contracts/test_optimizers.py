"""What every optimizer of the union must hold."""

from __future__ import annotations

import copy
import typing

import pytest
import torch
from pydantic import TypeAdapter

from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.optimizers.setting import apply_setting
from cifar_tune.training.schedules import Setting

OPTIMIZER = TypeAdapter(AnyOptimizer)
LR = {"sgd": 0.05, "adam": 0.01, "adamw": 0.01, "rmsprop": 0.003, "lion": 0.003, "muon": 0.02}
OPTIONS = {"muon": {"rest": {"name": "adamw", "lr": 0.01}}}
NAMES = [member.model_fields["name"].default for member in typing.get_args(typing.get_args(AnyOptimizer)[0])]


def schema(name, **options):
    return OPTIMIZER.validate_python(
        {"name": name, "lr": LR[name], "weight_decay": 1e-4, **OPTIONS.get(name, {}), **options}
    )


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, groups=4),
        torch.nn.Conv2d(8, 16, 1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(16 * 36, 10),
    ).to(memory_format=torch.channels_last)


IMAGES = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(64) % 10


def gradients(model, seed=0):
    """Leaves the gradients of one drawn batch on the model and returns its loss."""
    chosen = torch.randperm(64, generator=torch.Generator().manual_seed(seed))[:48]
    model.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(IMAGES[chosen]), LABELS[chosen])
    loss.backward()
    return loss.item()


def train(model, optimizer, steps):
    for step in steps:
        apply_setting(optimizer, Setting(1 / (1 + step / 10), 0.85 + 0.001 * step))
        gradients(model, step)
        optimizer.step()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_it_descends_a_quadratic(name):
    model = torch.nn.Linear(10, 10)
    optimizer = schema(name, weight_decay=0.0).build(model)
    start = model.weight.detach().norm().item()
    for step in range(300):
        apply_setting(optimizer, Setting(1 - step / 300))
        model.zero_grad()
        sum(p.square().sum() / 2 for p in model.parameters()).backward()
        optimizer.step()
    assert model.weight.norm() < 0.5 * start


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_a_small_net_in_channels_last(name):
    model = net()
    optimizer = schema(name).build(model)
    first = gradients(model)
    train(model, optimizer, range(60))
    assert gradients(model) < 0.8 * first


@pytest.mark.parametrize("name", NAMES)
def test_every_trainable_parameter_moves_and_each_is_in_one_group(name):
    model = net()
    optimizer = schema(name, decay_norms_and_biases=False).build(model)
    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    train(model, optimizer, range(1))
    assert not any(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_state_continues_bit_for_bit(name, tmp_path):
    model = net()
    optimizer = schema(name).build(model)
    train(model, optimizer, range(5))
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    twin = copy.deepcopy(model)
    restored = schema(name).build(twin)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    train(model, optimizer, range(5, 10))
    train(twin, restored, range(5, 10))
    assert same(model, twin)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_the_climb_and_back_around_it_leaves_the_same_step_as_without(name):
    """SAM moves the weights away and back around the gradients; the optimizer must see nothing of it but gradients."""
    plain, moved = net(), net()
    for model in (plain, moved):
        optimizer = schema(name).build(model)
        for seed in range(3):
            gradients(model, seed)
            if model is moved:
                saved = [p.detach().clone() for p in model.parameters()]
                with torch.no_grad():
                    for p in model.parameters():
                        p.add_(p.grad, alpha=0.05)
                    for p, old in zip(model.parameters(), saved, strict=True):
                        p.copy_(old)
            optimizer.step()
    assert same(plain, moved)


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_do_not_depend_on_their_memory_layout(name):
    strided, contiguous = net(), net().to(memory_format=torch.contiguous_format)
    for model in (strided, contiguous):
        train(model, schema(name).build(model), range(2))
    for one, other in zip(strided.parameters(), contiguous.parameters(), strict=True):
        # the layouts' convolutions round differently, and Lion takes the sign of it: a few weights may go the other way
        assert ((one - other).abs() < 1e-4).float().mean() > 0.98


@pytest.mark.parametrize("name", NAMES)
def test_it_works_under_a_gradient_scaler(name):
    plain, scaled = net(), net()
    optimizer = schema(name).build(plain)
    gradients(plain)
    optimizer.step()
    optimizer = schema(name).build(scaled)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients(scaled)
    for parameter in scaled.parameters():
        parameter.grad *= 1024
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    for one, other in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_scaler_skips_a_step_with_infinite_gradients_and_the_next_is_as_if_it_had_not_been(name):
    plain, scaled = net(), net()
    optimizer = schema(name).build(scaled)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients(scaled)
    before = [parameter.detach().clone() for parameter in scaled.parameters()]
    next(scaled.parameters()).grad[0] = torch.inf
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    assert all(torch.equal(p, old) for p, old in zip(scaled.parameters(), before, strict=True))
    scaler.update()

    fresh = schema(name).build(plain)
    gradients(plain)
    for mine, theirs in zip(scaled.parameters(), plain.parameters(), strict=True):
        mine.grad = theirs.grad * scaler.get_scale()
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    fresh.step()
    for one, other in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_survives_json(name):
    member = schema(name)
    assert OPTIMIZER.validate_json(member.model_dump_json()) == member
