"""What a curve's bits depend on, recorded and compared."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from cifar_tune.training.reproducibility import (
    ComputeEnvironment,
    current_environment,
    instruction_set,
    why_bits_differ,
)

CPU = ComputeEnvironment("cpu", "float32", 1, 2, "AMD EPYC 9V74", "AVX512 with AVX512_BF16", "2.15.0")
GPU = replace(CPU, device="NVIDIA H100 PCIe", precision="bfloat16")


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "NVIDIA H100 PCIe"},
        {"precision": "bfloat16"},
        {"processes": 2},
        {"threads": 1},
        {"cpu_model": "Intel Xeon"},
        {"instruction_set": "AVX2"},
        {"torch": "2.16.0"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_changes_the_rounding_is_named_with_both_values(changes: dict[str, Any]) -> None:
    why = why_bits_differ([CPU], replace(CPU, **changes), deterministic=True)
    assert why is not None
    for name, value in changes.items():
        assert str(value) in why
        assert str(getattr(CPU, name)) in why


def test_the_same_environment_gives_the_same_bits() -> None:
    assert why_bits_differ([CPU, CPU], CPU, deterministic=False) is None
    assert why_bits_differ([GPU], GPU, deterministic=True) is None
    assert why_bits_differ([], CPU, deterministic=False) is None


def test_on_a_gpu_the_processor_does_not_matter_and_the_choice_of_kernels_does() -> None:
    other = replace(GPU, threads=16, cpu_model="Intel Xeon", instruction_set="AVX2")
    assert why_bits_differ([GPU], other, deterministic=True) is None
    assert why_bits_differ([GPU], GPU, deterministic=False) is not None


def test_what_an_older_table_does_not_say_is_no_difference() -> None:
    assert why_bits_differ([ComputeEnvironment("cpu")], CPU, deterministic=False) is None
    assert ComputeEnvironment.of_row({"device_name": "cpu", "precision": "float32"}) is None


def test_a_record_comes_back_and_may_have_fields_of_another_version() -> None:
    assert ComputeEnvironment.of_record({**asdict(CPU), "new": 1}) == CPU
    assert ComputeEnvironment.of_record({"device": "cpu"}) == ComputeEnvironment("cpu")
    row = {"device_name": "cpu", "precision": "float32", "processes": 1, **CPU.processor_columns()}
    assert ComputeEnvironment.of_row(row) == replace(CPU, torch=None)


def test_this_process_is_described_as_it_computes_now(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        environment = current_environment(torch.device("cpu"), "float32", 1)
    finally:
        torch.set_num_threads(before)
    assert (environment.device, environment.threads) == ("cpu", 3)
    assert environment.cpu_model
    assert str(environment.instruction_set).startswith(torch.backends.cpu.get_cpu_capability())
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert "ONEDNN_MAX_CPU_ISA=SSE41" in instruction_set()
