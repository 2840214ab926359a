"""What a machine has, and what each trial is given of it. Neither torch nor Ray is imported to find out."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cifar_tune.config.sweep_config import Resources
from cifar_tune.errors import DeviceError
from cifar_tune.tuning.cards import GIGABYTE, Gpu, describe_gpus, mps_daemon_runs, visible_gpus


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
    """What one trial is given. gpus: below 1 a share of one card. threads: of torch and OpenMP."""

    cpus: float
    gpus: float
    threads: int

    def __str__(self) -> str:
        cores = f"{self.cpus:g} CPU core{'s' if self.cpus != 1 else ''}"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        return f"{cores}, {threads}, {f'{self.gpus:g} GPU' if self.gpus else 'no GPU'}"

    def as_ray(self) -> dict[str, float]:
        """The bundle that Ray is asked for."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}

    def slots(self, capacity: Mapping[str, float]) -> int:
        """How many trials fit at once a node with this capacity, given in Ray's words."""
        by_cpu = capacity.get("CPU", 0.0) / self.cpus
        if not self.gpus:
            return math.floor(by_cpu + ROUNDING)
        cards = capacity.get("GPU", 0.0)
        by_gpu = cards // self.gpus if self.gpus >= 1 else math.floor(cards) * math.floor(1 / self.gpus + ROUNDING)
        return math.floor(min(by_cpu, by_gpu) + ROUNDING)


ROUNDING = 1e-4
"""Ray counts resources in steps of 1e-4."""


def device_kind(resources: TrialResources) -> str:
    """Returns the kind of device that a trial trains on, as torch names it."""
    return "cuda" if resources.gpus else "cpu"


def this_machine() -> Machine:
    """Returns what this process may use."""
    return machine_with(os.environ.get("CUDA_VISIBLE_DEVICES"))


def machine_with(visible: str | None) -> Machine:
    """Returns what a process with `CUDA_VISIBLE_DEVICES=visible` may use here; None leaves all cards visible."""
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


def trial_resources(asked: Resources, machine: Machine) -> TrialResources:
    """Returns what each trial is given on this machine.

    Raises:
        DeviceError: more CPU cores, GPUs or GPU memory asked for than there are; says what there is.
    """
    gpus = _gpus_per_trial(asked, machine)
    cpus = asked.cpus if asked.cpus != "auto" else _cores_per_trial(gpus, machine)
    if cpus > machine.cores:
        raise DeviceError(f"resources.cpus: a trial is to have {cpus} CPU cores; this machine has {machine}")
    return TrialResources(cpus=float(cpus), gpus=gpus, threads=cpus)


def _gpus_per_trial(asked: Resources, machine: Machine) -> float:
    if not machine.gpus:
        wanted = [
            f"resources.{key}: {value:g}"
            for key, value in (("gpus", asked.gpus), ("gpu_memory", asked.gpu_memory))
            if value not in ("auto", 0)
        ]
        if wanted and asked.gpus != 0:
            raise DeviceError(
                f"{wanted[0]} asked for, and there is no GPU; this machine has {machine}. "
                "Leave it out, or write `gpus: 0`, to train on the CPU"
            )
        return 0.0
    if asked.gpus == "auto":
        return 1.0 if asked.gpu_memory == "auto" else _share_for_memory(asked.gpu_memory, machine)
    if asked.gpus > len(machine.gpus):
        raise DeviceError(f"resources.gpus: a trial is to have {asked.gpus:g} GPUs; this machine has {machine}")
    if asked.gpus > 1:
        raise DeviceError(f"resources.gpus: {asked.gpus:g}; a trial trains on one card, so at most 1")
    return float(asked.gpus)


def _share_for_memory(gigabytes: float, machine: Machine) -> float:
    """The share of a card that holds so many gigabytes, for the smallest card, as one part in a whole number."""
    smallest = min(gpu.memory_bytes for gpu in machine.gpus) / GIGABYTE
    if gigabytes > smallest:
        raise DeviceError(
            f"resources.gpu_memory: a trial is to have {gigabytes:g} GB; this machine has {describe_gpus(machine.gpus)}"
        )
    return 1.0 / math.floor(smallest / gigabytes)


def _cores_per_trial(gpus: float, machine: Machine) -> int:
    """One core a trial on the CPU, where two trials of one thread outrun one of two; else the cores shared out."""
    if not gpus:
        return 1
    at_once = TrialResources(cpus=ROUNDING, gpus=gpus, threads=1).slots({"CPU": 1.0, "GPU": len(machine.gpus)})
    return max(1, machine.cores // max(1, at_once))
