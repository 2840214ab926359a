"""Each published system's model, narrow and by a short version of its recipe, beats a linear classifier of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cifar_tune.config.load import load_trial
from cifar_tune.training.data import ImageSource, load_data
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.epochs import trial_epochs

TRIALS = Path(__file__).parents[2] / "trials"
CIFAR10 = "dataset={name: cifar10, train_size: 6000, validation_fraction: 0.25}"
CIFAR100 = "dataset={name: cifar100, train_size: 12000, validation_fraction: 0.125}"
# A few epochs leave no time to learn from images that are hidden, blended or repainted.
MOVES = "augmentations=[{name: flip}, {name: crop}]"
SHORT = ("epochs=5", "batch_size=32", MOVES)
# Nor, for a hundred classes, to take two gradients a step or to average them over tens of thousands.
QUICK = ("optimizer={name: sgd, lr: 0.1, weight_decay: 5e-4}", "schedule={name: onecycle}", "sam=null", "ema=null")
SYSTEMS = {
    "mininet": ("mininet_food101.yaml", (CIFAR10, "model.width=8", *SHORT)),
    "tgn": (
        "tgn_cifar100.yaml",
        (CIFAR100, "model.width=24", "model.stem.stride=2", *QUICK, "epochs=10", "batch_size=64", MOVES),
    ),
    "resnet18": ("resnet18_cifar100.yaml", (CIFAR10, "model.width=12", "schedule.warmup_epochs=1", *SHORT)),
    "resnet34": ("resnet34_cifar100.yaml", (CIFAR10, "model.width=16", "model.stem.stride=2", *SHORT, "epochs=6")),
    "ternary_resnet18-twn": ("ternary_resnet18_cifar10.yaml", (CIFAR10, "model.width=12", *SHORT)),
    "ternary_resnet18-ttq": ("ternary_resnet18_cifar10.yaml", (CIFAR10, "model.width=12", "model.method=ttq", *SHORT)),
}
BEFORE_LANDING = ("mininet", "ternary_resnet18-twn")
"""The other systems take longer and are for `make nightly`."""

PENALTIES = (1e-4, 1e-3, 1e-2)
"""Inverse strengths of the linear classifier's; the one that validates best counts, so that it has every advantage."""


@dataclass(frozen=True)
class Linear:
    """How well a linear classifier of the pixels does on a data set's validation images, of which there are so many."""

    accuracy: float
    images: int

    def error_of_difference(self) -> float:
        """Returns the standard error of the difference between two such accuracies."""
        return float(np.sqrt(2 * self.accuracy * (1 - self.accuracy) / self.images))


_measured: dict[AnyDataset, Linear] = {}


def linear(dataset: AnyDataset, root: Path) -> Linear:
    """Returns what a linear classifier reaches on the images that a trial trains on and is validated on."""
    if dataset not in _measured:
        data = load_data(dataset, root, torch.device("cpu"))
        train, validation = flattened(data.train), flattened(data.validation)
        mean, std = train.mean(0), train.std(0)
        scores = [
            LogisticRegression(C=penalty, max_iter=1000, tol=1e-3)
            .fit((train - mean) / std, data.train.labels)
            .score((validation - mean) / std, data.validation.labels)
            for penalty in PENALTIES
        ]
        _measured[dataset] = Linear(max(scores), len(validation))
    return _measured[dataset]


def flattened(source: ImageSource) -> np.ndarray:
    """Returns (N, C * H * W) float32 pixels in [0, 255], in the order of the labels."""
    (pixels,) = source.batches(torch.arange(len(source)), len(source))
    return pixels.flatten(1).numpy().astype(np.float32)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "system",
    [pytest.param(name, marks=pytest.mark.slow if name in BEFORE_LANDING else pytest.mark.nightly) for name in SYSTEMS],
)
def test_it_beats_a_linear_classifier_on_the_same_images(
    system: str, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, overrides = SYSTEMS[system]
    trial = load_trial(TRIALS / recipe, overrides)
    history = list(trial_epochs(trial, root=real_data, device="cpu"))
    reached, opponent = history[-1].validation_accuracy, linear(trial.dataset, real_data)
    assert reached is not None
    with capsys.disabled():
        speed = np.median([metrics.images_per_second for metrics in history])
        print(
            f"\n{system}: {reached:.3f} on {opponent.images} validation images of {trial.dataset.name} "
            f"after {trial.epochs} epochs at {speed:,.0f} images/s; linear {opponent.accuracy:.3f}"
        )
    assert reached > opponent.accuracy + 2 * opponent.error_of_difference()
