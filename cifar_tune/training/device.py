"""The device that a trial trains on, and the most memory that it took there."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

import torch

from cifar_tune.errors import DeviceError

CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")
RESET_PEAK = "5"
"""Resets the peak resident size of a process. Source: proc(5), /proc/pid/clear_refs."""


def find_device(name: str | torch.device = "auto") -> torch.device:
    """Returns the device of that name; `auto` is a GPU where there is one, else the CPU.

    Raises:
        DeviceError: There is no such device here.
    """
    present = devices()
    if str(name) == "auto":
        return present[-1] if present[-1].type == "mps" else present[min(1, len(present) - 1)]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is not None and device.type == "cuda" and device.index is None:
        device = torch.device("cuda", 0)
    if device is None or device not in present:
        raise DeviceError(f"device {name} is not there; this machine has {', '.join(map(str, present))}")
    return device


def devices() -> list[torch.device]:
    """Returns every device that torch can use here, the CPU first."""
    cards = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [torch.device("cpu"), *cards, *([torch.device("mps")] if torch.backends.mps.is_available() else [])]


def free_memory_bytes(device: torch.device) -> int:
    """Returns the memory that a new tensor could take on a GPU, within the share of it that this process may fill."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        share = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_reserved(device)
        return int(min(free, share))
    return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())


def reset_peak_memory(device: torch.device) -> None:
    """Begins a new measurement of the peak; on a CPU other than Linux's nothing can, and the process's peak goes on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu" and CLEAR_REFS.exists():
        try:
            CLEAR_REFS.write_text(RESET_PEAK)
        except OSError:
            return  # a container may forbid it: the peak of the whole process is then the best figure there is


def peak_memory_bytes(device: torch.device) -> int:
    """Returns the most memory taken since the last reset.

    CUDA: by torch's tensors. CPU: resident, of the whole process. MPS keeps no peak: what is allocated now.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    if STATUS.exists() and (peak := re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)):
        return int(peak[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
