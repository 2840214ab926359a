"""What a machine has, found without torch or Ray, and the record of what a trial is given of it."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from cifar_tune.execution.cluster.cards import GIGABYTE, Gpu, describe_gpus, mps_daemon_runs, visible_gpus, visible_here
from cifar_tune.execution.placement.allocation import WHOLE
from cifar_tune.training.reproducibility import ComputeEnvironment


@dataclass(frozen=True)
class Machine:
    """What this process may use. cores: after CPU affinity and container limits. mps_daemon: NVIDIA's, at work."""

    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    free_disk_bytes: int = 0
    mps_daemon: bool = False

    def __str__(self) -> str:
        cores = f"{self.cores} CPU core{'s' if self.cores != 1 else ''}"
        return f"{cores}, {self.memory_bytes / GIGABYTE:.0f} GB of memory, {describe_gpus(self.gpus)}"

    def details(self) -> tuple[str, ...]:
        """Returns a line for each card, and one for what else matters to trials."""
        disk = f"{self.free_disk_bytes / GIGABYTE:.0f} GB of disk free"
        daemon = ("NVIDIA's MPS daemon shares the cards",) if self.mps_daemon else ()
        return (*(card_details(gpu) for gpu in self.gpus), ", ".join((disk, *daemon)))


def card_details(gpu: Gpu) -> str:
    """Returns the card with all that is known of it, in a line."""
    parts = [str(gpu)]
    if gpu.free_bytes:
        parts.append(f"{gpu.free_bytes / GIGABYTE:.1f} GB free")
    if gpu.capability is not None:
        parts.append(f"compute capability {gpu.capability[0]}.{gpu.capability[1]}")
    if gpu.bfloat16 is not None:
        parts.append("bfloat16" if gpu.bfloat16 else "no bfloat16")
    return ", ".join([*parts, f"driver {gpu.driver}"] if gpu.driver else parts)


@dataclass(frozen=True)
class TrialResources:
    """What one trial is given. node_id: Ray's.

    gpus: a share of one card, or a card for each of its processes. threads: of torch and OpenMP, in each process.
    memory_bytes: of its share of each card, beyond which its tensors may not go; 0 sets no limit.
    """

    cpus: float
    gpus: float
    threads: int
    node_id: str = ""
    memory_bytes: int = 0
    processes: int = 1

    def __str__(self) -> str:
        cores = f"{self.cpus:g} CPU core{'s' if self.cpus != 1 else ''}"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        if self.processes > 1:
            threads = f"{self.processes} processes of {threads}"
        gpus = f"{self.gpus:g} GPU{'s' if self.gpus > 1 else ''}" if self.gpus else "no GPU"
        return f"{cores}, {threads}, {gpus}"

    def computing_as(self, recorded: ComputeEnvironment | None) -> TrialResources:
        """Returns these with the threads of before where there are cores for them: a CPU's bits depend on them."""
        if recorded is None or recorded.device != "cpu" or not recorded.threads:
            return self
        return replace(self, threads=min(recorded.threads, self.threads))

    @property
    def reserved_bytes(self) -> int:
        """Of all its cards together; 0 sets no limit."""
        return self.memory_bytes * self.processes

    def of_each(self) -> dict[str, float]:
        """Returns what Ray is asked for, for each process."""
        cpus = math.floor(self.cpus / self.processes * WHOLE) / WHOLE
        return {"CPU": cpus, "GPU": self.gpus / self.processes} if self.gpus else {"CPU": cpus}


def this_machine() -> Machine:
    """Returns what this process may use."""
    return machine_with(visible_here())


def machine_with(visible: str | None) -> Machine:
    """Returns what a process may use here to which these cards are visible; None leaves all visible."""
    return Machine(
        cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        gpus=visible_gpus(visible),
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
        mps_daemon=mps_daemon_runs(),
    )


def usable_cores() -> int:
    """Returns the cores of this process: its CPU affinity, further limited by the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    quota = _container_quota(Path("/sys/fs/cgroup/cpu.max"))
    return max(1, min(cores, math.floor(quota)) if quota else cores)


def _container_quota(path: Path) -> float | None:
    """Cores that a version 2 control group allows; None where it sets no limit."""
    try:
        limit, period = path.read_text(encoding="ascii").split()
        return int(limit) / int(period)
    except (OSError, ValueError):
        return None
