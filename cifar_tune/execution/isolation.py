"""What a trial could leave behind in a worker process, and how the next one is kept from finding it."""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_tune.errors import CheckpointError

DEVICE_KINDS = ("cpu", "cuda")


@dataclass(frozen=True)
class ProcessState:
    """Every switch of torch, and every global generator, that a trial may turn. Taken once, before the first trial."""

    threads: int
    default_dtype: torch.dtype
    grad_enabled: bool
    anomaly_enabled: bool
    matmul_precision: str
    deterministic: bool
    cudnn: tuple[bool, bool, bool]
    autocast: tuple[tuple[bool, torch.dtype], ...]
    autocast_cache: bool
    torch_generator: torch.Tensor
    numpy_generator: dict[str, Any]
    python_generator: tuple[Any, ...]

    @classmethod
    def taken(cls) -> ProcessState:
        """Returns the state of this process now. What lives now is not looked at again by the garbage collector."""
        gc.freeze()
        cudnn = torch.backends.cudnn
        return cls(
            threads=torch.get_num_threads(),
            default_dtype=torch.get_default_dtype(),
            grad_enabled=torch.is_grad_enabled(),
            anomaly_enabled=torch.is_anomaly_enabled(),
            matmul_precision=torch.get_float32_matmul_precision(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            cudnn=(cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
            autocast=tuple((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in DEVICE_KINDS),
            autocast_cache=torch.is_autocast_cache_enabled(),
            torch_generator=torch.get_rng_state(),
            numpy_generator=np.random.get_state(legacy=False),
            python_generator=random.getstate(),
        )

    def restore(self) -> None:
        """Puts the process back into this state and returns the memory of dead tensors to the devices."""
        torch.set_num_threads(self.threads)
        torch.set_default_dtype(self.default_dtype)
        torch.set_grad_enabled(self.grad_enabled)
        torch.set_anomaly_enabled(self.anomaly_enabled)
        torch.set_float32_matmul_precision(self.matmul_precision)
        if self.deterministic != torch.are_deterministic_algorithms_enabled():  # to set it imports 3.5 s of compiler
            torch.use_deterministic_algorithms(self.deterministic)
        cudnn = torch.backends.cudnn
        cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = self.cudnn
        for kind, (enabled, dtype) in zip(DEVICE_KINDS, self.autocast, strict=True):
            torch.set_autocast_enabled(kind, enabled)
            torch.set_autocast_dtype(kind, dtype)
        torch.set_autocast_cache_enabled(self.autocast_cache)
        torch.clear_autocast_cache()
        torch.set_rng_state(self.torch_generator)
        np.random.set_state(self.numpy_generator)
        random.setstate(self.python_generator)
        release_memory()


def release_memory() -> None:
    """Collects what the last trial held; its peaks no longer count."""
    gc.collect()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    _reset_peak_resident_size()


def _reset_peak_resident_size() -> None:
    """Lets `peak_memory_bytes` of the next trial on the CPU begin at what is resident now (Linux only)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def spoils_the_process(error: Exception) -> bool:
    """Whether no later trial can use this process.

    After a failed kernel, CUDA answers every call with an error; after another process of the trial has died, so does
    what they spoke through.
    """
    return isinstance(error, torch.AcceleratorError) or lost_another_process(error)


def lost_another_process(error: Exception) -> bool:
    """Whether the trial's processes could not speak to each other any more."""
    if isinstance(error, torch.distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in TRANSPORTS)


def of_the_surroundings(error: Exception) -> bool:
    """Whether data, storage, disk or network failed, and not the trial: every other trial would meet the same.

    A checkpoint that is corrupt or of another model is the trial's own, unless the system could not read it.
    """
    if isinstance(error, CheckpointError):
        cause = error.__cause__
        return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError) and of_the_surroundings(cause)
    return isinstance(error, OSError)


TRANSPORTS = ("gloo", "NCCL")
"""Words of those that fail with no type of their own."""

ALLOCATORS = (
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
    "DefaultCPUAllocator",
)
"""Words of those that fail for want of memory with an error of another type."""


def ran_out_of_memory(error: Exception) -> bool:
    """Whether the trial needs more memory than its device, or its share of it, has; the process stays of use."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATORS)
