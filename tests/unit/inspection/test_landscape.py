"""The loss around a network: what is known of it where the loss is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_tune.inspection.inspection import landscape_of
from cifar_tune.inspection.landscape import (
    FixedImages,
    estimate_statistics,
    filter_norms,
    largest_curvature,
    losses_on_line,
    losses_on_plane,
    passes_needed,
    random_direction,
    sam_sharpness,
)
from cifar_tune.inspection.landscape_figures import Landscape, line_figure, plane_figure
from cifar_tune.plotting.theme import DARK, LIGHT, Theme
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.tgn import Tgn

INFO = DatasetInfo(
    tuple("abcd"), 3, 16, (0.5,) * 3, (0.2,) * 3, 100, coarse_names=("x", "y"), coarse_of_fine=(0, 1, 1, 0)
)
PLACES = np.linspace(-1, 1, 3)


def nothing(_: int) -> None:
    """What is told of each loss."""


@pytest.fixture
def images() -> FixedImages:
    torch.manual_seed(1)
    return FixedImages([(torch.randn(6, 3, 16, 16), torch.arange(6) % 4), (torch.randn(2, 3, 16, 16), torch.arange(2))])


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return ResNet18(width=2).build(INFO).eval()


class Softmax(nn.Module):
    """One linear layer, whose Hessian can be written down."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(images.flatten(1))
        return logits


@pytest.fixture
def linear() -> tuple[Softmax, FixedImages]:
    torch.manual_seed(2)
    return Softmax().double(), FixedImages([(torch.randn(9, 6).double(), torch.arange(9) % 4)])


def test_the_loss_at_the_origin_is_that_of_the_network_which_stays_as_it_was(
    network: nn.Module, images: FixedImages
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    directions = random_direction(network, 0), random_direction(network, 1)
    plane = losses_on_plane(network, images, directions, PLACES, PLACES, nothing)
    line = losses_on_line(network, images, directions[0], PLACES, nothing)
    assert plane[1, 1] == line[1] == images.loss(network)
    assert np.array_equal(plane[1], line)
    assert len(set(plane.ravel())) == 9
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    whole, labels = (torch.cat(parts) for parts in zip(*images.batches, strict=True))
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(network(whole), labels))
    assert images.loss(network) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("model", [ResNet18(width=2), Tgn(width=2)])
def test_every_filter_of_a_direction_has_the_norm_of_the_networks_own(model: ResNet18) -> None:
    network = model.build(INFO)
    direction = random_direction(network, 0)
    parameters = dict(network.named_parameters())
    for name, step in direction.items():
        weight = parameters[name].detach()
        if weight.ndim == 3:
            weight, step = weight.transpose(1, 2).flatten(0, 1), step.transpose(1, 2).flatten(0, 1)
        for own, other in zip(weight, step, strict=True):
            assert float(other.norm()) == pytest.approx(float(own.norm()), rel=1e-4)
    left_out = set(parameters) - set(direction)
    assert left_out == {name for name, parameter in parameters.items() if parameter.ndim == 1}
    assert any("bn" in name for name in left_out)


def test_a_direction_follows_from_its_seed(network: nn.Module) -> None:
    first, again, other = (random_direction(network, seed)["conv1.weight"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_scaling_a_filter_and_its_batch_norm_changes_nothing_in_the_landscape(images: FixedImages) -> None:
    """What filter normalisation is for: networks that compute the same look the same."""
    torch.manual_seed(0)
    network = ResNet18(width=2).build(INFO).eval()
    before = losses_on_line(network, images, random_direction(network, 0), PLACES, nothing)
    with torch.no_grad():
        network.conv1.weight *= 10
        network.bn1.running_mean *= 10
        network.bn1.running_var *= 100
        network.bn1.running_var += 99 * network.bn1.eps
    after = losses_on_line(network, images, random_direction(network, 0), PLACES, nothing)
    assert np.allclose(before, after, rtol=1e-3)


def test_statistics_are_estimated_over_all_images_and_nothing_else_changes(
    network: nn.Module, images: FixedImages
) -> None:
    weights = {name: value.clone() for name, value in network.named_parameters()}
    single = FixedImages([tuple(torch.cat(parts) for parts in zip(*images.batches, strict=True))])  # type: ignore[list-item]
    estimate_statistics(network, single)
    with torch.no_grad():
        seen = network.conv1(single.batches[0][0])
    assert torch.allclose(network.bn1.running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(network.bn1.running_var, seen.var((0, 2, 3)), rtol=1e-4)
    assert not any(module.training for module in network.modules())
    assert network.bn1.momentum == 0.1
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())


def test_the_curvature_is_the_largest_eigenvalue_of_the_hessian(linear: tuple[Softmax, FixedImages]) -> None:
    model, images = linear
    [(inputs, labels)] = images.batches

    def loss(weight: Tensor) -> Tensor:
        return nn.functional.cross_entropy(inputs @ weight.view(4, 6).T, labels)

    hessian = torch.autograd.functional.hessian(loss, model.fc.weight.detach().flatten())
    assert largest_curvature(model, images) == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=2e-3)


def test_passes_are_counted_as_they_are_announced(linear: tuple[Softmax, FixedImages]) -> None:
    model, images = linear
    counted: list[int] = []
    landscape_of(model, images, 3, 1.0, counted.append)
    assert 2 * sum(counted) == passes_needed(3)


def test_sams_sharpness_is_the_rise_by_the_step_along_the_gradient(linear: tuple[Softmax, FixedImages]) -> None:
    model, images = linear
    [(inputs, labels)] = images.batches
    [gradient] = torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels), [model.fc.weight])
    weight = model.fc.weight.detach()
    moved = weight + 0.05 * gradient / gradient.norm()
    before, after = (nn.functional.cross_entropy(inputs @ one.T, labels) for one in (weight, moved))
    assert sam_sharpness(model, images) == pytest.approx(float(after - before), rel=1e-4)
    assert sam_sharpness(model, images) > 0


def test_filter_norms_broadcast_over_their_weights() -> None:
    assert filter_norms(torch.ones(4, 3, 2, 2)).flatten().tolist() == pytest.approx([12**0.5] * 4)
    assert filter_norms(torch.ones(5, 6, 7)).shape == (5, 1, 7)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_figures_are_drawn_of_flat_steep_and_broken_landscapes(theme: Theme) -> None:
    plane = np.array([[1, 2, 1e9], [1, 0.5, 1], [np.nan, np.inf, 3]])
    landscapes = {
        "before training": Landscape(PLACES, np.ones(3), np.ones((3, 3)), 1.0, 0.0, 0.0),
        "after training": Landscape(PLACES, plane[1], plane, 0.5, 0.1, 2.0),
    }
    assert line_figure(landscapes, theme).axes
    assert plane_figure(landscapes, theme).axes
