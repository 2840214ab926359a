"""A data set and a trial so small that an epoch takes some ten milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
CLASSES, RESOLUTION, VALIDATION = 4, 8, 8


def _data(train: int = 32) -> TrainingData:
    """Images of noise around a brightness that tells the class."""
    generator = torch.Generator().manual_seed(5)
    count = train + VALIDATION
    labels = torch.arange(count) % CLASSES
    noise = torch.randint(0, 64, (count, 3, RESOLUTION, RESOLUTION), generator=generator)
    pixels = (noise + 48 * labels[:, None, None, None]).to(torch.uint8)
    info = DatasetInfo(tuple("abcd"), 3, RESOLUTION, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), count)
    parts = slice(VALIDATION, None), slice(None, VALIDATION)
    return TrainingData(*(ImageSource(pixels[part], labels[part], None, CPU) for part in parts), info)


def _trial(**changes: Any) -> TrialConfig:
    values = {
        "dataset": {"name": "cifar10", "resolution": RESOLUTION, "validation_fraction": 0.2},
        "model": {"name": "resnet18", "width": 2},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "batch_size": 8,
        "epochs": 2,
        "precision": "float32",
        **changes,
    }
    return TrialConfig.model_validate(values)


@pytest.fixture
def small_data() -> Callable[..., TrainingData]:
    return _data


@pytest.fixture
def small_trial() -> Callable[..., TrialConfig]:
    return _trial
