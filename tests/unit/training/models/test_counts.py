"""Parameters, FLOPs and activations against published figures and formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.flops import count_flops, count_parameters, count_trainable_parameters
from cifar_tune.training.memory import count_activation_bytes
from cifar_tune.training.models import AnyModel, Model


def model_of(name: str, **options: Any) -> Model:
    model: Model = TypeAdapter(AnyModel).validate_python({"name": name, **options})
    return model


def info_of(classes: int, resolution: int = 32) -> DatasetInfo:
    coarse = tuple(index % 20 for index in range(classes)) if classes == 100 else None
    names = tuple(map(str, range(classes)))
    return DatasetInfo(names, 3, resolution, (0.5,) * 3, (0.25,) * 3, 50000, coarse_of_fine=coarse)


@pytest.mark.parametrize(
    ("name", "options", "classes", "parameters"),
    [
        ("resnet18", {}, 10, 11_173_962),
        ("resnet18", {}, 100, 11_220_132),
        ("resnet34", {}, 10, 21_282_122),
        ("resnet34", {}, 100, 21_328_292),
        ("mininet", {}, 101, 541_253),
        ("mininet", {}, 100, 540_996),
        ("mininet", {}, 10, 517_866),
        ("mininet", {"variant": "published"}, 101, 677_573),
        ("mininet", {"variant": "newer"}, 101, 557_925),
        ("tgn", {}, 100, 16_609_720),
        ("ternary_resnet18", {}, 10, 11_173_962),
        ("ternary_resnet18", {"method": "ttq"}, 10, 11_173_962 + 2 * 19),
        ("ternary_resnet34", {}, 10, 21_282_122),
        ("ternary_resnet34", {"method": "ttq"}, 10, 21_282_122 + 2 * 35),
    ],
)
def test_parameters_are_as_published(name: str, options: dict[str, Any], classes: int, parameters: int) -> None:
    assert count_parameters(model_of(name, **options), info_of(classes)) == parameters


@pytest.mark.parametrize(("variant", "trained"), [("live", 541_253), ("published", 541_253), ("newer", 557_925)])
def test_what_an_optimizer_changes_of_mininet_leaves_out_idle_projections(variant: str, trained: int) -> None:
    assert count_trainable_parameters(model_of("mininet", variant=variant), info_of(101)) == trained


@pytest.mark.parametrize("name", ["resnet18", "ternary_resnet18", "tgn"])
def test_the_stem_follows_the_resolution_where_none_is_given(name: str) -> None:
    small, large = {"kernel": 3, "stride": 1, "padding": 1}, {"kernel": 7, "stride": 2, "padding": 3, "maxpool": True}
    for resolution, stem in ((32, small), (127, small), (128, large), (224, large)):
        info = info_of(100, resolution)
        assert count_flops(model_of(name, width=4), info) == count_flops(model_of(name, width=4, stem=stem), info)
        other = large if stem is small else small
        assert count_flops(model_of(name, width=4), info) != count_flops(model_of(name, width=4, stem=other), info)


def test_at_224_pixels_a_resnet_costs_what_torchvisions_does() -> None:
    """1.814 G multiply-adds for 1000 classes, as torchvision's table of weights has them."""
    assert count_flops(model_of("resnet18"), info_of(1000, 224)) / 2e9 == pytest.approx(1.814, abs=0.001)


@pytest.mark.parametrize(("name", "ternary"), [("ternary_resnet18", 11_157_504), ("ternary_resnet34", 21_258_240)])
def test_the_ternary_weights_are_those_of_the_blocks(name: str, ternary: int) -> None:
    from cifar_tune.training.networks.ternary import TernaryConvolution

    with torch.device("meta"):
        network = model_of(name).build(info_of(10))
    assert sum(m.weight.numel() for m in network.modules() if isinstance(m, TernaryConvolution)) == ternary


@pytest.mark.parametrize("width", [4, 24])
def test_a_resnets_flops_follow_the_formula(width: int) -> None:
    """Two for each multiply-add of the stem, four convolutions a stage, three projections, and the head."""
    multiply_adds, inputs = 32**2 * 27 * width, width
    for stage in range(4):
        pixels, outputs = (32 >> stage) ** 2, width << stage
        multiply_adds += pixels * 9 * (inputs * outputs + 3 * outputs**2)
        multiply_adds += pixels * inputs * outputs if stage else 0
        inputs = outputs
    multiply_adds += inputs * 10
    assert count_flops(model_of("resnet18", width=width), info_of(10)) == 2 * multiply_adds


@pytest.mark.parametrize(
    ("name", "resolution", "gigaflops"),
    [
        ("resnet18", 32, 3.33),
        ("resnet34", 32, 6.96),
        ("tgn", 32, 3.37),
        ("ternary_resnet18", 32, 3.33),
        ("mininet", 32, 0.32),
        ("mininet", 128, 5.04),
        ("mininet", 224, 15.4),
    ],
)
def test_forward_and_backward_flops_are_the_known_ones(name: str, resolution: int, gigaflops: float) -> None:
    found = 3 * count_flops(model_of(name), info_of(100, resolution)) / 1e9
    assert found == pytest.approx(gigaflops, abs=0.05 if gigaflops > 10 else 0.005)


@pytest.mark.parametrize(
    ("name", "resolution", "megabytes"),
    [
        ("resnet18", 32, 2.35),
        ("ternary_resnet18", 32, 2.35),
        ("resnet34", 32, 3.99),
        ("mininet", 32, 3.8),
        ("mininet", 128, 60),
        ("mininet", 224, 184),
    ],
)
def test_activations_kept_for_backward_are_the_known_ones(name: str, resolution: int, megabytes: float) -> None:
    found = count_activation_bytes(model_of(name), info_of(100, resolution), torch.bfloat16) / 1e6
    assert found == pytest.approx(megabytes, rel=0.011)


def test_activations_in_float32_take_twice_the_bytes() -> None:
    model, info = model_of("resnet18", width=8), info_of(10)
    assert count_activation_bytes(model, info, torch.float32) == 2 * count_activation_bytes(model, info, torch.bfloat16)
