"""When compiling pays, and that it changes no result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from cifar_tune.training.compilation import REPAYS_AFTER_SECONDS, compile_if_repaid
from cifar_tune.training.data import TrainingData
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.state import create_state
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
Trials = Callable[..., TrialConfig]
Data = Callable[..., TrainingData]


def test_nothing_is_compiled_on_a_cpu_unless_asked_for(small_trial: Trials, small_data: Data) -> None:
    for trial in (small_trial(epochs=10**6), small_trial(compile=False)):
        state = create_state(trial, small_data().info, CPU)
        assert not compile_if_repaid(state, trial, epoch_seconds=3600)


@pytest.mark.slow
def test_on_cuda_it_depends_on_the_time_left(small_trial: Trials, small_data: Data) -> None:
    trial = small_trial(epochs=10)
    state = replace(create_state(trial, small_data().info, CPU), device=torch.device("cuda"), epoch=5)
    assert not compile_if_repaid(state, trial, epoch_seconds=REPAYS_AFTER_SECONDS / 6)
    assert not compile_if_repaid(state, small_trial(epochs=10, deterministic=True), epoch_seconds=3600)
    assert compile_if_repaid(state, trial, epoch_seconds=REPAYS_AFTER_SECONDS / 4)


@pytest.mark.nightly
def test_a_compiled_model_trains_like_an_uncompiled_one(small_trial: Trials, small_data: Data) -> None:
    plain, compiled = (
        list(train_epochs(create_state(trial, small_data().info, CPU), small_data(), trial))
        for trial in (small_trial(epochs=1, batch_size=32), small_trial(epochs=1, batch_size=32, compile=True))
    )
    for one, other in zip(plain, compiled, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
