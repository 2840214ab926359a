"""BatchNorm over groups of images against torch's own over each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_tune.training.batch_norm import GhostBatchNorm2d, running_statistics
from cifar_tune.training.data import TrainingData
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.steps import frozen_statistics
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
MOMENTUM = 0.3


def images_of(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return 2 + 3 * torch.randn(count, 5, 4, 4, generator=generator)


def own_norm() -> nn.BatchNorm2d:
    own = nn.BatchNorm2d(5, momentum=MOMENTUM)
    nn.init.uniform_(own.weight, 0.5, 2.0)
    nn.init.uniform_(own.bias)
    return own


def test_each_group_is_normalised_by_its_own_statistics() -> None:
    own, images = own_norm(), images_of(12)
    expected = torch.cat([F.batch_norm(part, None, None, own.weight, own.bias, True) for part in images.split(4)])
    assert torch.equal(GhostBatchNorm2d(own, 4)(images), expected)


def test_running_statistics_move_once_to_the_mean_over_the_groups() -> None:
    ghost, images = GhostBatchNorm2d(own_norm(), 4), images_of(12)
    ghost(images)
    ghost(2 * images)
    mean, var = torch.zeros(5), torch.ones(5)
    for batch in (images, 2 * images):
        groups = batch.split(4)
        mean.lerp_(torch.stack([group.mean((0, 2, 3)) for group in groups]).mean(0), MOMENTUM)
        var.lerp_(torch.stack([group.var((0, 2, 3)) for group in groups]).mean(0), MOMENTUM)
    assert ghost.running_mean is not None
    assert ghost.running_var is not None
    torch.testing.assert_close(ghost.running_mean, mean)
    torch.testing.assert_close(ghost.running_var, var)


def test_a_single_group_and_evaluation_are_torchs_own() -> None:
    own, images = own_norm(), images_of(8)
    ghost = GhostBatchNorm2d(own, 8)
    assert torch.equal(ghost(images), own(images))
    assert torch.equal(ghost.eval()(images), own.eval()(images))
    assert ghost.state_dict().keys() == own.state_dict().keys()


def test_frozen_statistics_stay_while_groups_are_normalised() -> None:
    ghost, images = GhostBatchNorm2d(own_norm(), 4), images_of(12)
    before = [tensor.clone() for tensor in running_statistics(ghost)]
    with frozen_statistics(ghost):
        frozen = ghost(images)
    assert all(map(torch.equal, running_statistics(ghost), before))
    assert torch.equal(frozen, ghost(images))


def trained(trial: TrialConfig, data: TrainingData) -> TrainingState:
    state = create_state(trial, data.info, CPU)
    list(train_epochs(state, data, trial))
    return state


Trials = Callable[..., TrialConfig]
Data = Callable[..., TrainingData]


@pytest.mark.parametrize("changes", [{}, {"sam": {"rho": 0.05}, "ema": {"decay": 0.9}}], ids=["sgd", "sam"])
def test_with_groups_the_parts_of_a_batch_make_no_difference(
    changes: dict[str, Any], small_trial: Trials, small_data: Data
) -> None:
    """But for sums in another order, which small steps keep small."""
    options = {"model": {"name": "mininet", "width": 4}, "optimizer": {"name": "sgd", "lr": 0.005}, **changes}
    whole, *parts = (
        trained(small_trial(batch_size=32, ghost_batch_size=8, accumulation=count, **options), small_data(64))
        for count in (1, 2, 4)
    )
    for state in parts:
        for ours, theirs in zip(state.history, whole.history, strict=True):
            assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-5)
            assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-4)
        for ours, theirs in zip(running_statistics(state.model), running_statistics(whole.model), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_without_groups_they_do(small_trial: Trials, small_data: Data) -> None:
    whole, parts = (trained(small_trial(batch_size=16, accumulation=count), small_data()) for count in (1, 4))
    assert abs(whole.history[-1].train_loss - parts.history[-1].train_loss) > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ghost_batch_size": 3}, "ghost_batch_size 3 does not divide micro-batches of 8 images"),
        ({"ghost_batch_size": 4, "accumulation": 4}, "ghost_batch_size 4 does not divide micro-batches of 2 images"),
        ({"ghost_batch_size": 4, "sync_batch_norm": True}, "both say what BatchNorm normalises; give one"),
    ],
)
def test_groups_that_parts_would_divide_are_refused(changes: dict[str, Any], message: str, small_trial: Trials) -> None:
    with pytest.raises(ValueError, match=message):
        small_trial(**changes)
