"""What a trial takes here, from a few steps on random images: no data is read, nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.datasets import DatasetInfo
from cifar_tune.training.device import find_device, peak_memory_bytes
from cifar_tune.training.flops import count_flops
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.state import create_state
from cifar_tune.training.trial import TrialConfig

STEPS = 2
"""Of each epoch; the first epoch warms up, the second is timed."""

CPU_BATCH = 16
CPU_BATCH_FLOPS = 1e10
"""On a CPU, images per second hardly depend on the batch, and a step of a large one can take half a minute: a batch is
of at most so many images, and so much arithmetic forwards."""

BOUND_SECONDS = 30.0
"""That timing takes, give or take a backward pass: what has been done by then tells the speed."""

SAM_PASSES = 2


class TooSlow(Exception):  # noqa: N818 -- a finding about the trial, not an error
    """Not one step of the trial was done in time."""


class _TimeIsOver(Exception):  # noqa: N818
    """Ends the timing between two layers."""


@dataclass(frozen=True)
class Probe:
    """One trial alone. memory_bytes: its peak (on a CPU the whole process)."""

    images_per_second: float
    memory_bytes: int


def probe(
    trial: TrialConfig, info: DatasetInfo, *, device: str, threads: int, bound_seconds: float = BOUND_SECONDS
) -> Probe:
    """Trains a few steps and returns what they took.

    Raises:
        Diverged: The loss is no longer finite.
        TooSlow: None was done within the bound.
    """
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
    began = time.monotonic()
    _end_after(bound_seconds, state.model)
    speeds = []
    try:
        speeds = [metrics.images_per_second for metrics in train_epochs(state, data, short)]
    except _TimeIsOver:
        if state.step == 0:
            raise TooSlow(f"a step of {batch} images takes longer than {bound_seconds:.0f} s here") from None
        speeds.append(state.step * batch / (time.monotonic() - began))
    return Probe(speeds[-1], peak_memory_bytes(place))


def _end_after(seconds: float, model: nn.Module) -> None:
    """Lets the model end its own timing, at the next layer once the time is over."""
    until = time.monotonic() + seconds

    def check(*_: object) -> None:
        if time.monotonic() > until:
            raise _TimeIsOver

    for module in model.modules():
        module.register_forward_pre_hook(check)


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
