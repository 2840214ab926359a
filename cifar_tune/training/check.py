"""Whether a trial and a data set suit each other, known before any work; without torch, but for initial weights."""

from __future__ import annotations

from collections.abc import Callable

from cifar_tune.errors import CheckpointError, ConfigError, DatasetError, Problem, StorageError
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.split import training_sizes
from cifar_tune.training.trial import TrialConfig


def check_trial(trial: TrialConfig, info: DatasetInfo, *, begun: bool = False) -> None:
    """Returns if every part of the trial can work with the data set.

    begun: it goes on from a checkpoint, and needs its initial weights no more.

    Raises:
        ConfigError: with one problem for each part that cannot.
    """
    parts: list[tuple[str, Callable[[], None]]] = [
        ("dataset", lambda: _check_split(trial, info)),
        ("batch_size", lambda: _check_batch(trial, info)),
        ("model", lambda: trial.model.check(info)),
        *(
            (f"augmentations.{place}", lambda augmentation=augmentation: augmentation.check(info))
            for place, augmentation in enumerate(trial.augmentations)
        ),
        ("loss", lambda: trial.loss.check(info)),
        ("initial_weights", lambda: None if begun else _check_initial_weights(trial, info)),
    ]
    problems = [problem for path, check in parts if (problem := _problem(path, check)) is not None]
    if problems:
        raise ConfigError(problems)


def _problem(path: str, check: Callable[[], None]) -> Problem | None:
    try:
        check()
    except (DatasetError, CheckpointError, StorageError) as error:
        return Problem("", None, None, f"trial.{path}", str(error))
    return None


def _check_split(trial: TrialConfig, info: DatasetInfo) -> None:
    training_sizes(info, trial.dataset)


def _check_batch(trial: TrialConfig, info: DatasetInfo) -> None:
    try:
        images, _ = training_sizes(info, trial.dataset)
    except DatasetError:
        return
    if trial.batch_size > images:
        raise DatasetError(
            f"a batch of {trial.batch_size} images is larger than the training split of "
            f"{images} images; at most {images} is allowed"
        )


def _check_initial_weights(trial: TrialConfig, info: DatasetInfo) -> None:
    if trial.initial_weights is not None:
        from cifar_tune.training.initial_weights import match_weights

        match_weights(trial.initial_weights, trial.model, info)
