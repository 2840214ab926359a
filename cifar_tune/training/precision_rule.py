"""What `precision: auto` means, known from a card's compute capability or a CPU's instructions alone. Without torch."""

from __future__ import annotations

from typing import Literal

from cifar_tune.training.models import Model

PrecisionName = Literal["auto", "float32", "tf32", "bfloat16", "float16"]

TENSOR_CORES_WITH_BFLOAT16 = (8, 0)
"""Compute capability of Ampere. Source: CUDA C++ Programming Guide, table of features by compute capability."""

TENSOR_CORES_WITH_FLOAT16 = (7, 0)
"""Compute capability of Volta; Turing has 7.5. Source: the same."""


def precision_on_cuda(capability: tuple[int, int]) -> PrecisionName:
    """Returns the fastest precision that trains."""
    if capability >= TENSOR_CORES_WITH_BFLOAT16:
        return "bfloat16"
    return "float16" if capability >= TENSOR_CORES_WITH_FLOAT16 else "float32"


def precision_on_cpu(
    model: Model, resolution: int, *, has_amx: bool, has_avx512_bf16: bool, is_amd: bool
) -> PrecisionName:
    """Returns the faster precision; float32 where bfloat16 was not seen to be faster.

    AVX512_BF16 alone counts on AMD only. There it trained ResNet-18 1.5 to 1.9 times as fast as float32. On an Intel
    Xeon it trained ResNets and TGN 0.69 to 0.97 times, and MiniNet 0.46 to 1.11 times as fast
    (results/benchmarks/cpu_precision-xeon-avx512.json).
    """
    if has_amx:
        least: int | None = model.cpu_bfloat16_resolution
    else:
        least = model.avx512_bfloat16_resolution if has_avx512_bf16 and is_amd else None
    return "bfloat16" if least is not None and resolution >= least else "float32"
