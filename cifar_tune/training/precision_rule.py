"""What `precision: auto` means on a CUDA card, known from its compute capability alone. Without torch."""

from __future__ import annotations

from cifar_tune.training.trial import Precision

TENSOR_CORES_WITH_BFLOAT16 = (8, 0)
"""Compute capability of Ampere. Source: CUDA C++ Programming Guide, table of features by compute capability."""

TENSOR_CORES_WITH_FLOAT16 = (7, 0)
"""Compute capability of Volta; Turing has 7.5. Source: the same."""


def precision_on_cuda(capability: tuple[int, int]) -> Precision:
    """Returns the fastest precision that trains."""
    if capability >= TENSOR_CORES_WITH_BFLOAT16:
        return "bfloat16"
    return "float16" if capability >= TENSOR_CORES_WITH_FLOAT16 else "float32"
