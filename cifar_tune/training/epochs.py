"""A whole trial, from wherever it was left, one record an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from cifar_tune.training.checkpoint import packed, restore
from cifar_tune.training.data import load_data
from cifar_tune.training.device import find_device, reset_peak_memory
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.state import create_state
from cifar_tune.training.stopping import is_best
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig


def trial_epochs(
    trial: TrialConfig, *, root: Path, device: str | torch.device = "auto", checkpoints: Path | None = None
) -> Iterator[EpochMetrics]:
    """Yields a record for every epoch: those of the newest whole checkpoint as they were recorded, then new ones.

    Each new epoch is on disk before it is yielded.

    root: folder of the data sets. checkpoints: the trial's own folder; None keeps nothing.

    Raises:
        ConfigError: The trial and the data set do not suit each other.
        DatasetError: A file of the data set is missing or corrupt.
        DeviceError: There is no such device.
        CheckpointError: The checkpoints are of another trial or format.
        Diverged: The loss is no longer finite.
    """
    device = find_device(device)
    reset_peak_memory(device)
    data = load_data(trial.dataset, root, device)
    state = create_state(trial, data.info, device)
    folder = None if checkpoints is None else CheckpointFolder(checkpoints)
    if folder is not None and (checkpoint := folder.newest()) is not None:
        restore(state, trial, checkpoint)
        if is_best(state.history):
            folder.keep_best(checkpoint.folder)
        yield from list(state.history)
    for metrics in train_epochs(state, data, trial):
        if folder is not None:
            folder.save(packed(state, trial, data.info))
            if is_best(state.history):
                folder.keep_best(folder.last)
        yield metrics
