"""What every loss of the union must hold."""

from __future__ import annotations

import typing

import pytest
import torch
from pydantic import TypeAdapter

from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model, serialize
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.losses import AnyLoss
from cifar_tune.training.state import create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

LOSS = TypeAdapter(AnyLoss)
NAMES = [member.model_fields["name"].default for member in typing.get_args(typing.get_args(AnyLoss)[0])]
INFO = DatasetInfo(
    tuple("abcdef"), 3, 8, (0.5,) * 3, (0.25,) * 3, 100, coarse_names=("p", "q", "r"), coarse_of_fine=(0, 1, 2, 2, 1, 1)
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    trial = TrialConfig.model_validate(
        {
            "dataset": {"name": "cifar100"},
            "model": {"name": "resnet18", "width": 2},
            "optimizer": {"name": "sgd", "lr": 0.1},
            "epochs": 1,
        }
    )
    folder = CheckpointFolder(tmp_path_factory.mktemp("teacher"))
    folder.save(serialize(create_state(trial, INFO, torch.device("cpu")), trial, INFO))
    return folder.last


@pytest.fixture
def member(request, teacher):
    options = {"distillation": {"teacher": str(teacher)}}
    return LOSS.validate_python({"name": request.param, **options.get(request.param, {})})


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 6))


def batch(count=8, sets=2):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    labels = torch.randint(6, (count, sets), generator=generator)
    weights = torch.rand(count, sets, generator=generator)
    return Batch(images, labels, weights / weights.sum(1, keepdim=True), torch.arange(count), 1)


def rows(given, chosen, labels=slice(None)):
    weights = given.weights[chosen, labels]
    weights = weights / weights.sum(1, keepdim=True)
    return Batch(given.images[chosen], given.labels[chosen, labels], weights, given.positions[chosen], 1)


every_loss = pytest.mark.parametrize("member", NAMES, indirect=True)


@every_loss
@pytest.mark.parametrize("sets", [1, 2, 4])
def test_it_is_one_finite_number_with_gradients_and_float32_logits(member, sets):
    network, given = model(), batch(sets=sets)
    value, logits = member.build(INFO, "cpu", load_model)(network, given.images, given)
    value.backward()
    assert (value.shape, value.dtype) == ((), torch.float32)
    assert (logits.shape, logits.dtype) == ((8, 6), torch.float32)
    assert value.isfinite()
    assert all(parameter.grad.isfinite().all() and parameter.grad.any() for parameter in network.parameters())


@every_loss
def test_it_is_the_mean_over_images_so_that_equal_parts_average(member):
    network, given = model(), batch()
    loss = member.build(INFO, "cpu", load_model)
    whole, _ = loss(network, given.images, given)
    parts = [rows(given, part) for part in (slice(0, 4), slice(4, 8))]
    halves = [loss(network, part.images, part)[0] for part in parts]
    torch.testing.assert_close(whole, sum(halves) / 2)


@every_loss
def test_it_is_linear_in_the_weights_of_mixed_labels(member):
    network, given = model(), batch(count=1)
    loss = member.build(INFO, "cpu", load_model)
    mixed, _ = loss(network, given.images, given)
    singles = [loss(network, given.images, rows(given, slice(0, 1), slice(i, i + 1)))[0] for i in range(2)]
    torch.testing.assert_close(mixed, given.weights[0, 0] * singles[0] + given.weights[0, 1] * singles[1])


@every_loss
def test_computing_it_twice_gives_the_same_and_changes_no_global_draw(member):
    network, given = model(), batch()
    loss = member.build(INFO, "cpu", load_model)
    state = torch.get_rng_state()
    assert torch.equal(loss(network, given.images, given)[0], loss(network, given.images, given)[0])
    assert torch.equal(torch.get_rng_state(), state)


@every_loss
def test_under_autocast_logits_and_loss_stay_float32(member):
    network, given = model(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        value, logits = member.build(INFO, "cpu", load_model)(network, given.images, given)
    assert (value.dtype, logits.dtype) == (torch.float32, torch.float32)


@every_loss
def test_it_survives_json(member):
    assert LOSS.validate_json(member.model_dump_json()) == member
