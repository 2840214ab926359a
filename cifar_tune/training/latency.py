"""How long a network takes for an image, or for several at once."""

from __future__ import annotations

import math
import time

import torch
from torch import nn

from cifar_tune.training.data import ImageSource
from cifar_tune.training.precision import Precision
from cifar_tune.training.preparation import Normalization

PASSES = 21
"""Of which the fastest counts, since others on the machine only ever add to it. ResNet-18 of width 8 on a CPU with a
load of three a core, 30 times: the fastest spread by 3 %, the mean by 11 %, the median by 69 %."""

FEWEST_PASSES = 3
"""The first chooses kernels and takes memory."""


@torch.inference_mode()
def latency_seconds(
    model: nn.Module,
    source: ImageSource,
    normalize: Normalization,
    arithmetic: Precision,
    *,
    images: int = 1,
    at_most_seconds: float = math.inf,
) -> float:
    """Returns the seconds of a forward pass, from pixels on the device to logits, uncompiled, undisturbed.

    images: in the pass; all are the same one. at_most_seconds: after which no further pass begins, but for the third.
    Leaves the model in evaluation mode.
    """
    model.eval()
    device = source.device
    pixels = next(iter(source.batches(torch.zeros(images, dtype=torch.int64, device=device), images)))
    seconds: list[float] = []
    while len(seconds) < FEWEST_PASSES or (len(seconds) < PASSES and sum(seconds) < at_most_seconds):
        _wait_for(device)
        started = time.perf_counter()
        with arithmetic.autocast_context(device):
            model.forward(normalize(pixels))
        _wait_for(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
