"""A trial that has learnt to read digits, once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.training.epochs import trial_epochs
from cifar_tune.training.trial import TrialConfig

TRIAL = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "batch_size": 64,
    "epochs": 2,
}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoints, which no test changes."""
    folder = tmp_path_factory.mktemp("trial")
    for _ in trial_epochs(TrialConfig.model_validate(TRIAL), root=folder, device="cpu", checkpoints=folder / "t"):
        pass
    return folder / "t"
