"""How long one image takes, as an epoch's record says it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cifar_tune.training.epochs import open_trial
from cifar_tune.training.latency import PASSES, latency_seconds
from cifar_tune.training.preparation import Normalization
from cifar_tune.training.trial import TrialConfig

TRIAL: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 200, "validation_fraction": 0.25},
    "model": {"name": "mininet", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "batch_size": 32,
    "epochs": 2,
}


class Waits(nn.Module):
    """Takes at least this long for a batch, whatever is in it, and longer at first."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.shapes: list[torch.Size] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(images.shape)
        time.sleep(self.seconds * (3 if len(self.shapes) == 1 else 1))
        return images.sum((1, 2, 3))[:, None]


def test_the_latency_is_that_of_one_image_without_the_first_slow_pass(tmp_path: Path) -> None:
    opened = open_trial(TrialConfig.model_validate(TRIAL), root=tmp_path, device="cpu")
    normalize = Normalization(opened.data.info, opened.state.device, channels_last=True)
    network = Waits(0.002)
    measured = latency_seconds(network, opened.data.validation, normalize, opened.state.arithmetic)
    assert 0.002 <= measured < 0.006
    assert [shape[0] for shape in network.shapes] == [1] * PASSES


@pytest.mark.parametrize("every", [1, 2])
def test_it_is_measured_after_each_validation_where_it_is_asked_for(tmp_path: Path, every: int) -> None:
    trial = TrialConfig.model_validate(TRIAL | {"evaluation": {"latency": True, "every": every}})
    records = list(open_trial(trial, root=tmp_path, device="cpu").epochs())
    assert [one.latency_seconds is not None for one in records] == [every == 1, True]


def test_measuring_it_changes_nothing_else(tmp_path: Path) -> None:
    curves = []
    for latency in (False, True):
        trial = TrialConfig.model_validate(TRIAL | {"evaluation": {"latency": latency}})
        records = list(open_trial(trial, root=tmp_path, device="cpu").epochs())
        curves.append([(one.train_loss, one.validation_loss, one.validation_accuracy) for one in records])
        assert all((one.latency_seconds is not None) == latency for one in records)
    assert curves[0] == curves[1]
