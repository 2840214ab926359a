"""A whole trial, from wherever it was left, one record an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from cifar_tune.storage.address import Address
from cifar_tune.training.bucket_checkpoints import checkpoint_folder_at
from cifar_tune.training.check import check_trial
from cifar_tune.training.checkpoint import Checkpoint, read_checkpoint, restore, serialize
from cifar_tune.training.data import TrainingData, load_data
from cifar_tune.training.device import find_device, reset_peak_memory
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.stopping import is_best
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig


@dataclass(frozen=True)
class OpenTrial:
    """A trial with its data at hand and its state where the newest whole checkpoint left it."""

    trial: TrialConfig
    data: TrainingData
    state: TrainingState
    folder: CheckpointFolder | None
    ranks: ProcessGroup = SINGLE_PROCESS

    @property
    def images_at_once(self) -> int:
        """Images of a forward pass of the largest part of a micro-batch."""
        return math.ceil(self.trial.micro_batch_size / self.ranks.size)

    @property
    def batch_norm_images(self) -> int:
        """Images that BatchNorm normalises by."""
        own = self.trial.micro_batch_size if self.trial.sync_batch_norm else self.images_at_once
        return self.trial.ghost_batch_size or own

    def epochs(self) -> Iterator[EpochMetrics]:
        """Yields a record for every epoch that is still to do; each is on disk before it is yielded.

        Raises:
            Diverged: The loss is no longer finite.
        """
        for metrics in train_epochs(self.state, self.data, self.trial, self.ranks):
            try:
                self._save()
            except KeyboardInterrupt:
                self._save()  # the epoch is done, and shall not be lost for having been interrupted just now
                raise
            yield metrics

    def _save(self) -> None:
        if self.folder is not None and self.ranks.leads:
            self.folder.save(serialize(self.state, self.trial, self.data.info))
            if is_best(self.state.history):
                self.folder.keep_best(self.folder.last)


def open_trial(
    trial: TrialConfig,
    *,
    root: Path,
    device: str | torch.device = "auto",
    checkpoints: Path | Address | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> OpenTrial:
    """Returns the trial, ready to go on.

    root: folder of the data sets. checkpoints: the trial's own folder; None keeps nothing. ranks: that train it
    together, each calling this, on one machine.

    Raises:
        ConfigError: The trial and the data set do not suit each other.
        DatasetError: A file of the data set is missing or corrupt.
        DeviceError: There is no such device.
        CheckpointError: The checkpoints are of another trial or format.
        StorageError: Their address cannot be reached.
    """
    folder = None if checkpoints is None else checkpoint_folder_at(checkpoints)
    checkpoint = None if folder is None else _newest(folder, ranks)
    check_trial(trial, trial.dataset.info(root), begun=checkpoint is not None)
    device = find_device(device)
    reset_peak_memory(device)
    data = load_data(trial.dataset, root, device)
    begins = trial if checkpoint is None else trial.model_copy(update={"initial_weights": None})
    state = create_state(begins, data.info, device, ranks)
    if folder is not None and checkpoint is not None:
        restore(state, trial, checkpoint)
        if is_best(state.history) and ranks.leads:
            folder.keep_best(checkpoint.folder)
    return OpenTrial(trial, data, state, folder, ranks)


def _newest(folder: CheckpointFolder, ranks: ProcessGroup) -> Checkpoint | None:
    """Returns the newest whole checkpoint, the same to all processes: one looks for it and tells the others."""
    found = folder.newest() if ranks.leads else None
    place = ranks.broadcast(None if found is None else found.folder)
    return found if ranks.leads or place is None else read_checkpoint(place)


def trial_epochs(
    trial: TrialConfig, *, root: Path, device: str | torch.device = "auto", checkpoints: Path | None = None
) -> Iterator[EpochMetrics]:
    """Yields a record for every epoch: those of the newest whole checkpoint as they were recorded, then new ones.

    Raises: what `open_trial` and `OpenTrial.epochs` raise.
    """
    opened = open_trial(trial, root=root, device=device, checkpoints=checkpoints)
    yield from list(opened.state.history)
    yield from opened.epochs()
