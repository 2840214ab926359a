"""How fast a model answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from cifar_tune.inspection.predictor import NetworkPredictor
from cifar_tune.training.data import ImageSource
from cifar_tune.training.latency import latency_seconds
from cifar_tune.training.precision import cuda_backend_flags

BATCH_SIZES = (1, 8, 64, 256)
SECONDS = 2.0
"""Of passes for each batch size: on a CPU a large batch of a large network takes seconds, and 21 of them a minute."""


class Speed(NamedTuple):
    """latency_seconds: of a forward pass of so many images at once, from pixels on the device to logits."""

    batch_size: int
    latency_seconds: float
    images_per_second: float


def speeds(network: NetworkPredictor, source: ImageSource, batch_sizes: Sequence[int] = BATCH_SIZES) -> Iterator[Speed]:
    """Yields the speed at each batch size, the fastest of several passes; ends where the device's memory does."""
    with cuda_backend_flags(network.arithmetic, network.trial.deterministic, network.device):
        for size in batch_sizes:
            try:
                seconds = latency_seconds(
                    network.model,
                    source,
                    network.normalize,
                    network.arithmetic,
                    images=size,
                    at_most_seconds=SECONDS,
                )
            except torch.OutOfMemoryError:
                return
            yield Speed(size, seconds, size / seconds)


def device_name(device: torch.device) -> str:
    """Returns the device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"the CPU ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type
