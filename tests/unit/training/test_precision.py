"""Which numbers a trial computes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models import Model
from cifar_tune.training.models.mininet import MiniNet
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.precision import NAMED, arithmetic_of, kernels
from cifar_tune.training.trial import Precision

CPU = torch.device("cpu")
INFO = DatasetInfo(("a",), 3, 8, (0.5,) * 3, (0.2,) * 3, 1)


@pytest.mark.parametrize("name", NAMED)
def test_a_precision_that_is_asked_for_is_given(name: Precision) -> None:
    assert arithmetic_of(name, ResNet18(), INFO, CPU).name == name


@pytest.mark.parametrize(("model", "enough"), [(ResNet18(), 16), (MiniNet(), 64)], ids=["resnet18", "mininet"])
def test_auto_on_a_cpu_is_bfloat16_where_matrix_units_have_enough_to_do(model: Model, enough: int) -> None:
    has_matrix_units = torch.cpu._is_amx_tile_supported()
    assert arithmetic_of("auto", model, replace(INFO, resolution=enough - 1), CPU).name == "float32"
    expected = "bfloat16" if has_matrix_units else "float32"
    assert arithmetic_of("auto", model, replace(INFO, resolution=enough), CPU).name == expected


def test_only_float16_is_scaled() -> None:
    assert [name for name, arithmetic in NAMED.items() if arithmetic.scaled] == ["float16"]


@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_forward_pass_computes_so(name: Precision, dtype: torch.dtype) -> None:
    with NAMED[name].casting(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.gpu
def test_kernels_are_chosen_for_one_epoch_and_put_back() -> None:
    flags = torch.backends.cudnn
    before = flags.benchmark, flags.deterministic, torch.are_deterministic_algorithms_enabled()
    with kernels(NAMED["tf32"], True, torch.device("cuda")):
        assert (flags.benchmark, flags.deterministic) == (False, True)
        assert torch.backends.cuda.matmul.allow_tf32
    with kernels(NAMED["float32"], False, torch.device("cuda")):
        assert flags.benchmark
        assert not torch.backends.cuda.matmul.allow_tf32
    assert (flags.benchmark, flags.deterministic, torch.are_deterministic_algorithms_enabled()) == before
