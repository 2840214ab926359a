"""What a trial takes here, from a few steps on random images: no data is read, nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.datasets import DatasetInfo
from cifar_tune.training.device import find_device
from cifar_tune.training.flops import count_flops
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.trial import TrialConfig

STEPS = 2
"""Of each epoch; the first epoch warms up, the second is timed."""

CPU_BATCH = 16
CPU_BATCH_FLOPS = 1e10
"""On a CPU, images per second hardly depend on the batch, and a step of a large one can take half a minute: a batch is
of at most so many images, and so much arithmetic forwards."""

SAM_PASSES = 2


@dataclass(frozen=True)
class Probe:
    """One trial alone. memory_bytes: its peak (on a CPU the whole process). checkpoint_bytes: `last` and `best`."""

    images_per_second: float
    memory_bytes: int
    checkpoint_bytes: int


def probe(trial: TrialConfig, info: DatasetInfo, *, device: str, threads: int) -> Probe:
    """Trains a few steps and returns what they took."""
    torch.set_num_threads(threads)
    place = find_device(device)
    batch = trial.micro_batch_size
    if place.type == "cpu":
        batch = max(2, min(batch, CPU_BATCH, int(CPU_BATCH_FLOPS / count_flops(trial.model, info))))
    short = trial.model_copy(
        update={"epochs": 2, "batch_size": batch, "accumulation": 1, "compile": False, "early_stopping": None}
    )
    data = TrainingData(_random_images(batch * STEPS, info, place), _random_images(batch, info, place), info)
    state = create_state(short, info, place)
    metrics = list(train_epochs(state, data, short))[-1]
    return Probe(metrics.images_per_second, metrics.peak_memory_bytes, _checkpoint_bytes(state, trial))


def relative_costs(trials: Iterable[TrialConfig], root: Path) -> list[float]:
    """Returns the arithmetic of each trial's training image, relative to the first trial's."""
    flops = cache(count_flops)
    costs = [
        flops(trial.model, trial.dataset.info(root)) * (1 if trial.sam is None else SAM_PASSES) for trial in trials
    ]
    return [cost / costs[0] for cost in costs]


def _random_images(count: int, info: DatasetInfo, device: torch.device) -> ImageSource:
    generator = torch.Generator().manual_seed(0)
    size = (count, info.channels, info.resolution, info.resolution)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, info.classes, (count,), generator=generator)
    return ImageSource(pixels.to(device), labels.to(device), None, device)


def _checkpoint_bytes(state: TrainingState, trial: TrialConfig) -> int:
    averaged = () if state.average is None else state.average.model.state_dict().values()
    kept = (value for group in state.optimizer.state.values() for value in group.values())
    last = chain(state.model.state_dict().values(), averaged, kept)
    return _bytes(last) + _bytes(state.scored_model(trial).state_dict().values())


def _bytes(values: Iterable[object]) -> int:
    return sum(value.nbytes for value in values if isinstance(value, Tensor))
