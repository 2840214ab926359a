"""Grad-CAM on networks where it is known what they look at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_tune.errors import InspectionError
from cifar_tune.inspection.gradcam import expert_views, grad_cam
from cifar_tune.inspection.layers import (
    captured,
    convolutions,
    filters_of,
    find_convolution,
    last_map,
    map_sizes,
    steps_of,
)
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.mininet import MiniNet
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.ternary import TernaryResNet18
from cifar_tune.training.models.tgn import Tgn

INFO = DatasetInfo(
    tuple("abcdef"), 3, 32, (0.5,) * 3, (0.2,) * 3, 100,
    coarse_names=("vowels", "others"), coarse_of_fine=(0, 1, 1, 1, 0, 1),
)  # fmt: skip


class Averages(nn.Module):
    """A convolution, the mean of each channel, a linear layer: its Grad-CAM is the class activation map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.fc = nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.conv(images).mean((2, 3)))
        return logits


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_of_averaged_channels_it_is_the_class_activation_map() -> None:
    model, images = Averages(), torch.randn(2, 3, 8, 8)
    found = grad_cam(model, "conv", images, lambda logits: logits[:, 2])
    maps = torch.einsum("k,nkhw->nhw", model.fc.weight[2], model.conv(images)) / 64
    assert np.allclose(found, maps.relu().detach(), atol=1e-6)


def test_a_detector_of_red_looks_where_red_is() -> None:
    model = Averages()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.conv.weight[0, 0, 1, 1] = 1
        model.fc.weight[1, 0] = 1
    image = torch.zeros(1, 3, 8, 8)
    image[0, 0, 5, 2] = 1
    [found] = grad_cam(model, "conv", image, lambda logits: logits[:, 1])
    assert np.argwhere(found > 0).tolist() == [[5, 2]]
    assert not grad_cam(model, "conv", image, lambda logits: -logits[:, 1]).any()


def test_finite_differences_give_the_same_in_a_network_that_works_in_place() -> None:
    model, image = ResNet18(width=2).build(INFO).double().eval(), torch.randn(1, 3, 32, 32).double()
    with torch.no_grad(), captured(model, ["layer4.0.bn1"]) as found:
        model(image)
    maps = found["layer4.0.bn1"]

    def logit(change: Tensor) -> float:
        hook = model.get_submodule("layer4.0.bn1").register_forward_hook(lambda *given: given[2] + change)
        with torch.no_grad():
            value = float(model(image)[0, 1])
        hook.remove()
        return value

    weights = torch.zeros(maps.shape[1], dtype=torch.float64)
    for channel in range(maps.shape[1]):
        change = torch.zeros_like(maps)
        change[0, channel] = 1e-7
        weights[channel] = (logit(change) - logit(-change)) / 2e-7 / maps[0, 0].numel()
    expected = torch.einsum("k,khw->hw", weights, maps[0]).relu()
    [cam] = grad_cam(model, "layer4.0.bn1", image, lambda logits: logits[:, 1])
    assert np.allclose(cam, expected, rtol=1e-3, atol=1e-5)


def test_gate_and_experts_give_the_networks_own_probabilities_and_maps() -> None:
    model, image = Tgn(width=2).build(INFO).eval(), torch.randn(1, 3, 32, 32)
    views = expert_views(model, "trunk.layer4", image, INFO, 9)
    assert sorted(view.superclass for view in views) == ["others", "vowels"]
    assert sum(view.probability for view in views) == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        joint = model(image)[0].exp()
    for view in views:
        whole = float(joint[INFO.class_names.index(view.likeliest)])
        assert view.probability * view.within == pytest.approx(whole, rel=1e-4)
        assert view.gate_map.shape == view.expert_map.shape == (4, 4)
        assert view.gate_map.min() >= 0
    assert views[0].probability >= views[1].probability


def test_what_is_captured_is_not_changed_by_what_follows_in_place() -> None:
    model, image = ResNet18(width=2).build(INFO).eval(), torch.randn(1, 3, 32, 32)
    with torch.no_grad(), captured(model, ["bn1"]) as found:
        logits = model(image)
    assert (found["bn1"] < 0).any()
    with torch.no_grad():
        assert torch.equal(model(image), logits)


@pytest.mark.parametrize(
    ("model", "first", "last"),
    [
        (ResNet18(width=2), "conv1", "layer4.1"),
        (MiniNet(width=2), "stem.0", "stages.10"),
        (Tgn(width=2), "trunk.conv1", "trunk.layer4.1"),
    ],
)
def test_the_steps_of_each_network_go_from_its_stem_to_its_last_block(model: ResNet18, first: str, last: str) -> None:
    network = model.build(INFO).eval()
    sizes = map_sizes(network, torch.zeros(1, 3, 32, 32))
    steps = steps_of(network, sizes)
    assert (steps[0], steps[-1]) == (first, last)
    assert min(sizes[last_map(sizes)]) == 4


def test_grad_cam_looks_at_an_earlier_layer_where_the_last_maps_are_single_pixels() -> None:
    assert last_map({"conv1": (8, 8), "layer2": (4, 4), "layer3": (2, 2)}) == "layer2"
    assert last_map({"conv1": (3, 3), "layer2": (2, 2)}) == "conv1"


def test_a_layer_that_is_not_there_lists_those_that_are() -> None:
    model = Averages()
    with pytest.raises(InspectionError, match=r"no layer `covn` \(did you mean `conv`\?\); the layers are conv, fc"):
        grad_cam(model, "covn", torch.zeros(1, 3, 8, 8), lambda logits: logits[:, 0])
    with pytest.raises(InspectionError, match=r"`fc` is not a convolution.*; the convolutions are conv"):
        find_convolution(model, "fc")


def test_filters_of_a_ternary_convolution_are_its_three_values() -> None:
    network = TernaryResNet18(width=2).build(INFO)
    weights = filters_of(convolutions(network)["layer1.0.conv1"])
    assert len(weights.unique()) <= 3
