"""Which numbers a trial computes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models import Model
from cifar_tune.training.models.mininet import MiniNet
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.ternary import TernaryResNet18
from cifar_tune.training.models.tgn import Tgn
from cifar_tune.training.precision import NAMED, cuda_backend_flags, resolve_precision
from cifar_tune.training.precision_rule import PrecisionName, precision_on_cpu
from cifar_tune.training.reproducibility import cpu_model

CPU = torch.device("cpu")
INFO = DatasetInfo(("a",), 3, 8, (0.5,) * 3, (0.2,) * 3, 1)


@pytest.mark.parametrize("name", NAMED)
def test_a_precision_that_is_asked_for_is_given(name: PrecisionName) -> None:
    assert resolve_precision(name, ResNet18(), INFO, CPU).name == name


@pytest.mark.parametrize(("model", "enough"), [(ResNet18(), 16), (MiniNet(), 64)], ids=["resnet18", "mininet"])
@pytest.mark.parametrize("is_amd", [False, True])
def test_auto_on_a_cpu_is_bfloat16_where_matrix_units_have_enough_to_do(
    model: Model, enough: int, is_amd: bool
) -> None:
    for has_avx512_bf16 in (False, True):
        given = {"has_amx": True, "has_avx512_bf16": has_avx512_bf16, "is_amd": is_amd}
        assert precision_on_cpu(model, enough - 1, **given) == "float32"
        assert precision_on_cpu(model, enough, **given) == "bfloat16"


def test_auto_on_an_amd_cpu_with_avx512_bf16_is_bfloat16_for_resnets_from_32_px() -> None:
    given = {"has_amx": False, "has_avx512_bf16": True, "is_amd": True}
    for model in (ResNet18(), Tgn(), TernaryResNet18()):
        assert precision_on_cpu(model, 31, **given) == "float32"
        assert precision_on_cpu(model, 32, **given) == "bfloat16"
    assert precision_on_cpu(MiniNet(), 224, **given) == "float32"


@pytest.mark.parametrize(("has_avx512_bf16", "is_amd"), [(False, False), (False, True), (True, False)])
def test_auto_on_any_other_cpu_is_float32(has_avx512_bf16: bool, is_amd: bool) -> None:
    given = {"has_amx": False, "has_avx512_bf16": has_avx512_bf16, "is_amd": is_amd}
    assert precision_on_cpu(ResNet18(), 224, **given) == "float32"


def test_auto_asks_this_cpu_what_it_has() -> None:
    expected = precision_on_cpu(
        ResNet18(),
        32,
        has_amx=torch.cpu._is_amx_tile_supported(),
        has_avx512_bf16=torch.cpu._is_avx512_bf16_supported(),
        is_amd="AMD" in cpu_model(),
    )
    assert resolve_precision("auto", ResNet18(), replace(INFO, resolution=32), CPU).name == expected


def test_only_float16_is_scaled() -> None:
    assert [name for name, arithmetic in NAMED.items() if arithmetic.scaled] == ["float16"]


@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_forward_pass_computes_so(name: PrecisionName, dtype: torch.dtype) -> None:
    with NAMED[name].autocast_context(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.gpu
def test_kernels_are_chosen_for_one_epoch_and_put_back() -> None:
    flags = torch.backends.cudnn
    before = flags.benchmark, flags.deterministic, torch.are_deterministic_algorithms_enabled()
    with cuda_backend_flags(NAMED["tf32"], True, torch.device("cuda")):
        assert (flags.benchmark, flags.deterministic) == (False, True)
        assert torch.backends.cuda.matmul.allow_tf32
    with cuda_backend_flags(NAMED["float32"], False, torch.device("cuda")):
        assert flags.benchmark
        assert not torch.backends.cuda.matmul.allow_tf32
    assert (flags.benchmark, flags.deterministic, torch.are_deterministic_algorithms_enabled()) == before
