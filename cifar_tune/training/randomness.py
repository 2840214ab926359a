"""Every random draw of a trial, as a function of its seed and the epoch.

No generator's state outlives an epoch, so none is ever saved, and two trials of one process cannot disturb each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

BEFORE_THE_FIRST_EPOCH = 0
"""The initial weights are drawn as if in epoch 0."""


def epoch_seeds(seed: int, epoch: int, rank: int = 0) -> tuple[int, int]:
    """Returns two unrelated seeds of 64 bits: for the images' order and augmentations, and for dropout and weights.

    rank: of the process; the first seed is that of all, the second its own.
    """
    data, network = np.random.SeedSequence((seed, epoch)).generate_state(2, np.uint64)
    if rank:
        network = np.random.SeedSequence((seed, epoch), spawn_key=(rank,)).generate_state(1, np.uint64)[0]
    return int(data), int(network)


@contextmanager
def global_draws(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators of the CPU and of `device`; puts them back as they were afterwards."""
    before = global_state(device)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    try:
        yield
    finally:
        set_global_state(before, device)


def global_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Returns the states of torch's global generators, of the CPU and of `device`; waits for no kernel on CUDA."""
    own = None
    if device.type == "cuda":
        own = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        own = torch.mps.get_rng_state()
    return torch.get_rng_state(), own


def set_global_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    """Puts back what `global_state` returned."""
    cpu, own = state
    torch.set_rng_state(cpu)
    if own is None:
        return
    if device.type == "cuda":
        torch.cuda.set_rng_state(own, device)
    else:
        torch.mps.set_rng_state(own)
