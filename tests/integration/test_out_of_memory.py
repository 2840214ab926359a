"""A trial that truly runs out of a memory limit, on a real Ray and in a real training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from cifar_tune.config.load import load_sweep
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.messages import MESSAGE, Message
from cifar_tune.execution.trainable import TrialRunner
from cifar_tune.training.memory import memory_need
from tests.integration.running import run_sweep

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.slow]

SWEEP = """
name: tight
trial:
  dataset: {name: digits, train_size: 256, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 64
  epochs: 2
grid: {batch_size: [32, 64]}
scheduler: {name: none}
trials_per_study: 1
"""


def limited_to(limit: int) -> type[TrialRunner]:
    """Returns a worker whose tensors kept for a backward pass may take so many bytes, as on a card that has no more."""

    class Kept:
        total = 0

        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor.detach()  # a saved output would hold itself through its own graph
            Kept.total += tensor.nbytes
            if Kept.total > limit:
                raise torch.OutOfMemoryError(f"Tried to allocate {tensor.nbytes} bytes")

        def __del__(self) -> None:
            Kept.total -= self.tensor.nbytes

    class Limited(TrialRunner):
        def step(self) -> dict[str, Any]:
            with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
                return {MESSAGE: self._message()}

        def _message(self) -> Message:
            return self._next_message()

    return Limited


def test_a_trial_that_runs_out_of_memory_trains_in_smaller_parts_and_the_others_as_they_were(
    tmp_path: Path, machine: Machine
) -> None:
    """The limit is met by a micro-batch of 32 images and not by one of 64."""
    (tmp_path / "tight.yaml").write_text(SWEEP)
    sweep = load_sweep(tmp_path / "tight.yaml")
    half, whole = (
        memory_need(sweep.trial_with({"batch_size": size}), sweep.trial.dataset.info(tmp_path)).micro_batch
        for size in (32, 64)
    )
    folder = tmp_path / "results"
    run_sweep(SWEEP, folder, machine, runner=limited_to((half + whole) // 2 + 100_000))
    trials = pd.read_parquet(folder / "trials.parquet").set_index("trial.batch_size")
    assert list(trials.status) == ["completed", "completed"]
    assert trials.micro_batch_size.to_dict() == {32: 32, 64: 32}
    assert trials.attempts.to_dict() == {32: 1, 64: 2}
    assert trials.memory_steps[64] == "micro-batches of 32 images instead of 64"
    assert trials["trial.accumulation"].to_dict() == {32: 1, 64: 1}
    assert trials.epochs_trained.to_dict() == {32: 2, 64: 2}
