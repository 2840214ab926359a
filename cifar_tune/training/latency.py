"""How long a network takes for one image."""

from __future__ import annotations

import time

import torch
from torch import nn

from cifar_tune.training.data import ImageSource
from cifar_tune.training.precision import Arithmetic
from cifar_tune.training.preparation import Normalization

PASSES = 21
"""Of which the fastest counts, since others on the machine only ever add to it. ResNet-18 of width 8 on a CPU with a
load of three a core, 30 times: the fastest spread by 3 %, the mean by 11 %, the median by 69 %."""


@torch.inference_mode()
def latency_seconds(model: nn.Module, source: ImageSource, normalize: Normalization, arithmetic: Arithmetic) -> float:
    """Returns the seconds of a forward pass of one image, from pixels on the device to logits, uncompiled, undisturbed.

    Leaves the model in evaluation mode.
    """
    model.eval()
    device = source.device
    pixels = next(iter(source.batches(torch.zeros(1, dtype=torch.int64, device=device), 1)))
    seconds = []
    for _ in range(PASSES):
        _wait_for(device)
        started = time.perf_counter()
        with arithmetic.casting(device):
            model.forward(normalize(pixels))
        _wait_for(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
