"""The processes that train one trial together: each holds all of its state and computes a part of every batch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

Value = TypeVar("Value")

BACKENDS = "cpu:gloo,cuda:nccl"
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class ProcessGroup:
    """This process's number among those of the trial, from 0, and how many they are. Equal calls in equal order."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Returns which of so many rows are this process's; parts differ by at most one row."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def total(self, values: Tensor) -> Tensor:
        """Returns the sum over all processes; nothing flows back through it."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Sets each tensor to its mean over all processes."""
        if self.size == 1:
            return
        for tensor in tensors:
            dist.all_reduce(tensor)
            tensor.div_(self.size)

    def broadcast(self, value: Value) -> Value:
        """Returns the value that the leading process has."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def synchronised(self, model: nn.Module) -> nn.Module:
        """Returns the model, whose gradients become the mean over all processes while a backward pass goes on.

        Source: Li et al. 2020 (arXiv:2006.15704). BatchNorm's running statistics are left to the caller.
        """
        if self.size == 1:
            return model
        return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)


SINGLE_PROCESS = ProcessGroup()


def open_store(size: int) -> TCPStore:
    """Returns where processes of this machine meet, at a port that is free; the caller must live as long as they."""
    return TCPStore(HOST, 0, size, is_master=True, wait_for_workers=False)


def join(rank: int, size: int, port: int) -> ProcessGroup:
    """Joins this process to the others of this machine that meet at the store of this port; waits for all."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    store = TCPStore(HOST, port, size, is_master=False)
    dist.init_process_group(BACKENDS if torch.cuda.is_available() else "gloo", store=store, rank=rank, world_size=size)
    return ProcessGroup(rank, size)
