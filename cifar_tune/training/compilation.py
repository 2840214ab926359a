"""When a trial's network is worth compiling."""

from __future__ import annotations

import torch

from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup
from cifar_tune.training.state import TrainingState
from cifar_tune.training.trial import TrialConfig

REPAYS_AFTER_SECONDS = 300.0
"""Training left at which compiling pays. A cold compile takes up to 75 s and saves a quarter of a step (ResNet-50 at
32 px: 3,960 to 5,268 images/s), hence 75 / 0.25. Compiled kernels lie in torch's cache on disk, which trials share."""


def compile_if_repaid(
    state: TrainingState, trial: TrialConfig, epoch_seconds: float, ranks: ProcessGroup = SINGLE_PROCESS
) -> bool:
    """Compiles the model for training if that is asked for or will be repaid; returns whether it did.

    `auto` goes by what the last epoch took, on CUDA alone, and never for a deterministic trial.
    """
    if trial.compile == "auto":
        left = epoch_seconds * (trial.epochs - state.epoch)
        if state.device.type != "cuda" or trial.deterministic or left < REPAYS_AFTER_SECONDS:
            return False
    elif not trial.compile:
        return False
    # A worker's earlier trials count against dynamo's limit of recompilations, after which it falls back to eager.
    torch.compiler.reset()
    # Static shapes replay as CUDA graphs. Accumulated gradients would lie in memory that the next replay overwrites.
    # Gradients that processes exchange lie where their exchange wants them.
    uses_graphs = state.device.type == "cuda" and trial.accumulation == 1 and ranks.size == 1
    state.model.compile(mode="reduce-overhead" if uses_graphs else None)
    return True
