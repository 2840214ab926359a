"""The seal: the only place where the test split is opened.

Only `confirm` and `evaluate` ask for it, through the package `execution`, which writes that down first.
"""

from __future__ import annotations

from pathlib import Path

import torch

from cifar_tune.training.data import ImageSource, open_source
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.epochs import OpenTrial
from cifar_tune.training.evaluate import Score
from cifar_tune.training.loop import score_images
from cifar_tune.training.precision import cuda_backend_flags
from cifar_tune.training.preparation import Normalization


def open_test_split(dataset: AnyDataset, root: Path, device: torch.device) -> ImageSource:
    """Returns the test images.

    Raises:
        DatasetError: A file of the test split is missing or corrupt.
    """
    return open_source(dataset.load(root, "test"), device)


def score_on_test_split(opened: OpenTrial, root: Path) -> Score:
    """Returns what the trial's model, as it stands, makes of the test images, scored as validation images are.

    Raises:
        DatasetError: A file of the test split is missing or corrupt.
    """
    trial, state = opened.trial, opened.state
    source = open_test_split(trial.dataset, root, state.device)
    normalize = Normalization(opened.data.info, state.device, channels_last=trial.channels_last)
    with cuda_backend_flags(state.arithmetic, trial.deterministic, state.device):
        return score_images(state, source, trial, normalize, opened.ranks)
