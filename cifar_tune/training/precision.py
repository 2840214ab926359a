"""In which numbers a trial computes, and by which kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models import Model
from cifar_tune.training.precision_rule import PrecisionName, precision_on_cpu, precision_on_cuda
from cifar_tune.training.reproducibility import cpu_model


@dataclass(frozen=True)
class Precision:
    """autocast: what matrix products and convolutions compute in; None is the tensors' own float32.

    scaled: the loss is scaled, so that float16 gradients do not vanish. tf32: float32 products round to 10 bits.
    """

    autocast: torch.dtype | None = None
    scaled: bool = False
    tf32: bool = False

    @property
    def name(self) -> PrecisionName:
        """The word for it in a trial file."""
        return next(name for name, arithmetic in NAMED.items() if arithmetic == self)

    def autocast_context(self, device: torch.device) -> AbstractContextManager[object]:
        """Returns the context in which a forward pass computes so."""
        return nullcontext() if self.autocast is None else torch.autocast(device.type, self.autocast)


FLOAT32 = Precision()
NAMED: Mapping[PrecisionName, Precision] = {
    "float32": FLOAT32,
    "tf32": Precision(tf32=True),
    "bfloat16": Precision(torch.bfloat16, tf32=True),
    "float16": Precision(torch.float16, scaled=True, tf32=True),
}


def resolve_precision(precision: PrecisionName, model: Model, info: DatasetInfo, device: torch.device) -> Precision:
    """Returns what `precision` means on this device; `auto` is a rule and no measurement, so that trials repeat."""
    return NAMED[_fastest(model, info, device) if precision == "auto" else precision]


def _fastest(model: Model, info: DatasetInfo, device: torch.device) -> PrecisionName:
    if device.type == "cuda":
        return precision_on_cuda(torch.cuda.get_device_capability(device))
    if device.type != "cpu":
        return "float32"
    return precision_on_cpu(
        model,
        info.resolution,
        has_amx=torch.cpu._is_amx_tile_supported(),
        has_avx512_bf16=torch.cpu._is_avx512_bf16_supported(),
        is_amd=cpu_model().startswith("AMD"),
    )


@contextmanager
def cuda_backend_flags(arithmetic: Precision, deterministic: bool, device: torch.device) -> Iterator[None]:
    """Chooses CUDA's kernels, the fastest or those that repeat bit for bit; restores the choice afterwards."""
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32, convolutions.benchmark, convolutions.deterministic
    strict = torch.are_deterministic_algorithms_enabled()
    if deterministic:
        # cuBLAS reads it once. Source: PyTorch, Reproducibility.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    products.allow_tf32 = convolutions.allow_tf32 = arithmetic.tf32
    convolutions.benchmark, convolutions.deterministic = not deterministic, deterministic
    torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32, convolutions.benchmark, convolutions.deterministic = before
        torch.use_deterministic_algorithms(strict)
