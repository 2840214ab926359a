"""Which devices there are, and the memory that was taken."""

from __future__ import annotations

import pytest
import torch

from cifar_tune.errors import DeviceError
from cifar_tune.training.device import CLEAR_REFS, devices, find_device, peak_memory_bytes, reset_peak_memory

CPU = torch.device("cpu")
MEGABYTE = 2**20


def test_the_cpu_is_always_there() -> None:
    assert find_device("cpu") == CPU
    assert devices()[0] == CPU


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert find_device() == (devices()[1] if len(devices()) > 1 else CPU)


@pytest.mark.parametrize("name", ["cuda:63", "tpu", "gpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=rf"device {name} is not there; this machine has cpu"):
        find_device(name)


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="only Linux can measure the peak anew")
def test_the_peak_is_that_since_the_last_reset() -> None:
    reset_peak_memory(CPU)
    before = peak_memory_bytes(CPU)
    large = torch.ones(256 * MEGABYTE, dtype=torch.uint8)
    with_it = peak_memory_bytes(CPU)
    assert with_it - before > 200 * MEGABYTE
    del large
    assert peak_memory_bytes(CPU) == pytest.approx(with_it, abs=8 * MEGABYTE)
    reset_peak_memory(CPU)
    assert peak_memory_bytes(CPU) < with_it - 200 * MEGABYTE


@pytest.mark.gpu
def test_the_peak_of_a_gpu_counts_tensors() -> None:
    device = find_device("cuda")
    reset_peak_memory(device)
    before = peak_memory_bytes(device)
    torch.ones(256 * MEGABYTE, dtype=torch.uint8, device=device)
    assert peak_memory_bytes(device) - before >= 256 * MEGABYTE
