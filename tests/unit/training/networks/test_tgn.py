"""TGN against twenty separate experts, and as a probability distribution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cifar_tune.training.models.stem import Stem
from cifar_tune.training.networks.tgn import Experts, TaxonomicGatedNetwork

EQUAL = ((0, 3), (5, 1), (2, 4))
UNEQUAL = ((4,), (0, 2, 5, 1), (6, 3))


def network(members: tuple[tuple[int, ...], ...]) -> TaxonomicGatedNetwork:
    torch.manual_seed(0)
    return TaxonomicGatedNetwork(members, 2, Stem(), 0.1, 3).eval()


def separate(experts: Experts, sizes: list[int]) -> list[nn.Sequential]:
    """One net per superclass with the weights of the fused experts."""
    features, largest = experts.weight.shape[1:]
    nets = []
    for index, size in enumerate(sizes):
        net = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, size))
        rows = slice(index * features, (index + 1) * features)
        with torch.no_grad():
            net[0].weight.copy_(experts.hidden.weight[rows])
            net[0].bias.copy_(experts.hidden.bias[rows])
            net[2].weight.copy_(experts.weight[index, :, :size].T)
            net[2].bias.copy_(experts.bias.view(-1, largest)[index, :size])
        nets.append(net)
    return nets


@pytest.mark.parametrize("members", [EQUAL, UNEQUAL])
def test_fused_experts_equal_separate_ones(members: tuple[tuple[int, ...], ...]) -> None:
    tgn = network(members)
    images = torch.randn(6, 3, 8, 8)
    features = tgn.trunk(images)
    gate = tgn.gate(features).log_softmax(1)
    expected = torch.empty(6, sum(map(len, members)))
    for coarse, net in enumerate(separate(tgn.experts, [len(classes) for classes in members])):
        expected[:, list(members[coarse])] = gate[:, [coarse]] + net(features).log_softmax(1)
    torch.testing.assert_close(tgn(images), expected)


@pytest.mark.parametrize("members", [EQUAL, UNEQUAL])
def test_probabilities_sum_to_one_over_classes_and_to_the_gate_over_superclasses(
    members: tuple[tuple[int, ...], ...],
) -> None:
    tgn = network(members)
    images = torch.randn(6, 3, 8, 8)
    probabilities = tgn(images).exp()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(6))
    gate = tgn.gate(tgn.trunk(images)).softmax(1)
    by_superclass = torch.stack([probabilities[:, list(classes)].sum(1) for classes in members], 1)
    torch.testing.assert_close(by_superclass, gate)


def test_gradients_are_finite_where_superclasses_differ_in_size() -> None:
    tgn = network(UNEQUAL)
    tgn(torch.randn(4, 3, 8, 8)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in tgn.parameters())


def test_log_probabilities_are_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(EQUAL)(torch.randn(2, 3, 8, 8))
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(2))


def test_experts_start_like_linear_layers() -> None:
    torch.manual_seed(0)
    experts = Experts(256, [5] * 20, 0.0)
    reference = nn.Linear(256, 1000)
    for ours in (experts.weight, experts.bias, experts.hidden.weight):
        assert ours.abs().max().item() <= 1 / 16
    assert experts.weight.std().item() == pytest.approx(reference.weight.std().item(), rel=0.02)
