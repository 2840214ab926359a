"""All that a trial carries from one epoch to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from cifar_tune.training.batch_norm import GhostBatchNorm2d, SharedBatchNorm2d, replace_batch_norm
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.ema import MovingAverage
from cifar_tune.training.initial_weights import load_weights, match_weights
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.networks.recomputable import recompute_blocks
from cifar_tune.training.precision import Precision, resolve_precision
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup
from cifar_tune.training.randomness import BEFORE_THE_FIRST_EPOCH, epoch_seeds, global_draws
from cifar_tune.training.reproducibility import ComputeEnvironment, current_environment
from cifar_tune.training.trial import TrialConfig


@dataclass
class TrainingState:
    """A trial between two epochs. What is not here follows from the trial's configuration and `epoch`.

    average: where the trial has `ema`. scaler: where gradients are float16.
    epoch, step: epochs and optimizer steps done. history: a record of each epoch done; early stopping follows from it.
    environments: in which its epochs were computed, in order; the last is this process's.
    """

    device: torch.device
    arithmetic: Precision
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    scaler: torch.amp.GradScaler | None
    epoch: int = 0
    step: int = 0
    history: list[EpochMetrics] = field(default_factory=list)
    environments: tuple[ComputeEnvironment, ...] = ()

    def scored_model(self, trial: TrialConfig) -> nn.Module:
        """Returns the model that validation scores, and that a checkpoint offers for use."""
        if self.average is None or trial.evaluation.weights == "raw":
            return self.model
        return self.average.model


def initial_model(trial: TrialConfig, info: DatasetInfo) -> nn.Module:
    """Returns the network as the trial begins with it, on the CPU; seed and initial weights determine it.

    Raises:
        CheckpointError: the initial weights are missing, or of another network.
    """
    _, seed = epoch_seeds(trial.seed, BEFORE_THE_FIRST_EPOCH)
    with global_draws(seed, torch.device("cpu")):
        model = trial.model.build(info)
    if trial.initial_weights is not None:
        load_weights(model, match_weights(trial.initial_weights, trial.model, info))
    return model


def create_state(
    trial: TrialConfig, info: DatasetInfo, device: torch.device, ranks: ProcessGroup = SINGLE_PROCESS
) -> TrainingState:
    """Returns the state before the first epoch; seed and initial weights determine the weights, on every device.

    Raises:
        CheckpointError: the initial weights are missing, or of another network.
    """
    model = initial_model(trial, info)
    if (images := trial.ghost_batch_size) is not None:
        replace_batch_norm(model, lambda own: GhostBatchNorm2d(own, images))
    elif trial.sync_batch_norm and ranks.size > 1:
        replace_batch_norm(model, SharedBatchNorm2d)
    if trial.recompute:
        recompute_blocks(model)
    layout = torch.channels_last if trial.channels_last else torch.contiguous_format
    model = model.to(device).to(memory_format=layout)
    arithmetic = resolve_precision(trial.precision, trial.model, info, device)
    return TrainingState(
        device=device,
        arithmetic=arithmetic,
        model=model,
        optimizer=trial.optimizer.build(model, trial.model.output_layers),
        average=None if trial.ema is None else MovingAverage(model, trial.ema.decay),
        scaler=torch.amp.GradScaler(device.type) if arithmetic.scaled else None,
        environments=(current_environment(device, arithmetic.name, ranks.size),),
    )
