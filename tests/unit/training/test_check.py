"""What is refused before any work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from cifar_tune.errors import ConfigError
from cifar_tune.training.check import check_trial
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.trial import TrialConfig

INFO = DatasetInfo(tuple("abcd"), 3, 8, (0.5,) * 3, (0.2,) * 3, 100)
Trials = Callable[..., TrialConfig]


def test_a_trial_that_suits_its_data_passes(small_trial: Trials) -> None:
    check_trial(small_trial(), INFO)
    check_trial(small_trial(batch_size=80), INFO)


def test_every_part_that_does_not_suit_is_named(small_trial: Trials) -> None:
    trial = small_trial(
        batch_size=82,
        model={"name": "tgn"},
        augmentations=[{"name": "flip"}, {"name": "crop", "padding": 8, "mode": "reflect"}],
        loss={"name": "hierarchical"},
    )
    with pytest.raises(ConfigError) as caught:
        check_trial(trial, INFO)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["trial.batch_size", "trial.model", "trial.augmentations.1", "trial.loss"]
    assert str(caught.value).startswith(
        "trial.batch_size: a batch of 82 images is larger than the training split of 80 images; at most 80 is allowed"
    )


def test_a_model_that_cannot_take_the_resolution_is_refused(small_trial: Trials) -> None:
    with pytest.raises(ConfigError, match=r"trial\.model: model resnet18 .* takes images of at least"):
        check_trial(small_trial(), replace(INFO, resolution=2))


def test_a_teacher_that_is_not_there_is_refused(small_trial: Trials) -> None:
    with pytest.raises(ConfigError, match=r"trial\.loss: loss distillation: .*nowhere is not a checkpoint"):
        check_trial(small_trial(loss={"name": "distillation", "teacher": "nowhere"}), INFO)


@pytest.mark.slow
def test_checking_needs_no_torch() -> None:
    code = "import cifar_tune.training.check, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
