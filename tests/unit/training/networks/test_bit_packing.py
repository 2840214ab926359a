"""Two-bit weights: sizes, round trips, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cifar_tune.errors import CheckpointError
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.ternary import Method, TernaryResNet18
from cifar_tune.training.networks.bit_packing import pack, pack_state, unpack, unpack_state

CIFAR10 = DatasetInfo(tuple("0123456789"), 3, 32, (0.5,) * 3, (0.25,) * 3, 50000)


def same_bits(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.view(torch.int32), second.view(torch.int32))


@given(
    signs=st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=70),
    positive=st.floats(2**-100, 2**100, width=32),
    negative=st.floats(2**-100, 2**100, width=32),
)
def test_any_ternary_weight_survives_bit_for_bit(signs: list[int], positive: float, negative: float) -> None:
    weight = torch.tensor([positive if s > 0 else -negative if s < 0 else 0.0 for s in signs])
    codes, values = pack(weight)
    assert codes.dtype == torch.uint8
    assert len(codes) == -(-len(signs) // 4)
    assert same_bits(unpack(codes, values, weight.shape), weight)


def test_a_weight_of_more_values_is_refused() -> None:
    message = r"cannot pack a weight of 4 distinct values into two bits: allowed are -n, 0 and p"
    with pytest.raises(CheckpointError, match=message):
        pack(torch.tensor([0.5, 0.0, -0.5, 0.25]))


def test_a_weight_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(CheckpointError):
        pack(torch.tensor([0.5, torch.nan]))


def test_corrupt_codes_are_refused() -> None:
    codes, values = pack(torch.tensor([0.5, -0.5, 0.0, 0.5, 0.5]))
    message = "corrupt ternary weight: 2 bytes are not 5 codes of 0, 1 or 2"
    with pytest.raises(CheckpointError, match=message):
        unpack(codes | 3, values, torch.Size([5]))
    with pytest.raises(CheckpointError, match="corrupt ternary weight: 1 bytes are not 5 codes"):
        unpack(codes[:1], values, torch.Size([5]))


def test_a_corrupt_state_names_the_weight() -> None:
    packed = pack_state(TernaryResNet18(width=2).build(CIFAR10))
    packed["layer1.0.conv1.weight.codes"] = packed["layer1.0.conv1.weight.codes"][:-1]
    with pytest.raises(CheckpointError, match=r"layer1\.0\.conv1\.weight: corrupt ternary weight"):
        unpack_state(packed)
    del packed["layer1.0.conv1.weight.values"]
    with pytest.raises(CheckpointError, match=r"layer1\.0\.conv1\.weight: .*values"):
        unpack_state(packed)


@pytest.mark.parametrize("method", ["twn", "ttq"])
def test_a_packed_network_is_a_plain_resnet_that_computes_the_same(method: Method) -> None:
    torch.manual_seed(0)
    ternary = TernaryResNet18(width=4, method=method).build(CIFAR10)
    images = torch.randn(4, 3, 32, 32)
    for _ in range(3):
        ternary(images)
    plain = ResNet18(width=4).build(CIFAR10)
    plain.load_state_dict(unpack_state(pack_state(ternary)), strict=True)
    assert torch.equal(plain.eval()(images), ternary.eval()(images))


def test_a_packed_ternary_resnet18_is_a_sixteenth_of_the_float_one() -> None:
    network = TernaryResNet18().build(CIFAR10)
    whole = 4 * sum(parameter.numel() for parameter in network.parameters())
    buffers = {name for name, _ in network.named_buffers()}
    packed = sum(
        tensor.numel() * tensor.element_size()
        for name, tensor in pack_state(network).items()
        if name not in buffers and not name.endswith(".shape")
    )
    full_precision = 4 * (11_173_962 - 11_157_504)
    two_values_a_layer = 19 * 2 * 4
    assert packed == 11_157_504 // 4 + full_precision + two_values_a_layer
    assert (packed // 1024, whole // 1024) == (2788, 43648)
    assert whole / packed == pytest.approx(15.65, abs=0.005)
