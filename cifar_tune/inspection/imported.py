"""Weights that others have trained, as a model to use: a trial's network with its initial weights, untrained here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from cifar_tune.errors import CheckpointError, DatasetError
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.photographs import Photographs
from cifar_tune.training.initial_weights import Matching, load_weights, match_weights
from cifar_tune.training.randomness import global_draws
from cifar_tune.training.trial import TrialConfig


def imported(trial: TrialConfig, info: DatasetInfo, source: Path) -> tuple[TrainedModel, Matching]:
    """Returns the network with its initial weights, and what of them went where. source: the trial's file.

    Raises:
        CheckpointError: the trial names no initial weights, or they do not fill the network.
    """
    if trial.initial_weights is None:
        raise CheckpointError(
            f"{source} is a trial without weights: --set initial_weights=FILE names them, or name a checkpoint instead"
        )
    matching = match_weights(trial.initial_weights, trial.model, info)
    lacking = [name for name in matching.fresh if not name.endswith(("positive_scale", "negative_scale"))]
    if lacking:
        raise CheckpointError(
            f"{matching.file} does not fill the network, whose {', '.join(lacking)} would be random: {matching}"
        )
    with global_draws(0, torch.device("cpu")):
        network = trial.model.build(info)
    load_weights(network, matching)
    return TrainedModel(source, trial, info, network.state_dict()), matching


def info_of(trial: TrialConfig, root: Path, classes: Path | None) -> DatasetInfo:
    """Returns what the model must know of its images; with a list of classes the data set need not be there.

    Raises:
        DatasetError: files of the data set, or of the list, are missing; or it is not a set of photographs.
    """
    if classes is None:
        return trial.dataset.info(root)
    try:
        names = tuple(line.strip() for line in classes.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"--classes {classes} cannot be read: {error}") from None
    dataset = trial.dataset
    if not isinstance(dataset, Photographs):
        return replace(dataset.info(root), class_names=names, coarse_names=None, coarse_of_fine=None)
    return DatasetInfo(names, 3, dataset.resolution, dataset.mean, dataset.std, train_images=0)
