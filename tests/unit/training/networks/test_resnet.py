"""ResNets against torchvision's, and what a stem leaves of an image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.model import SMALLEST_MAP, Model
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.stem import Stem
from cifar_tune.training.models.ternary import TernaryResNet18
from cifar_tune.training.models.tgn import Tgn
from cifar_tune.training.networks.resnet import BasicBlock, ResNet, Trunk

IMAGENET_STEM = Stem(kernel=7, stride=2, padding=3, maxpool=True)


@pytest.mark.parametrize(("depth", "blocks"), [("resnet18", (2, 2, 2, 2)), ("resnet34", (3, 4, 6, 3))])
def test_torchvisions_weights_load_by_name_and_compute_the_same(depth: str, blocks: tuple[int, ...]) -> None:
    import torchvision.models

    torch.manual_seed(0)
    theirs = torchvision.models.get_model(depth, num_classes=7)
    ours = ResNet(blocks, 64, IMAGENET_STEM, 0.0, 3, 7)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 33, 33)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))
    torch.testing.assert_close(ours.train()(images), theirs.train()(images))


def test_convolutions_start_with_hes_variance() -> None:
    torch.manual_seed(0)
    trunk = Trunk((1, 1, 1, 1), 64, Stem(), 3)
    for weight in (trunk.layer3[0].conv1.weight, trunk.layer4[0].conv2.weight, trunk.layer4[0].downsample[0].weight):
        outputs, _, kernel, _ = weight.shape
        assert weight.std().item() == pytest.approx((2 / (outputs * kernel**2)) ** 0.5, rel=0.02)
        assert weight.mean().item() == pytest.approx(0, abs=0.001)


def test_dropout_acts_before_the_head_in_training_only() -> None:
    torch.manual_seed(0)
    network = ResNet((1, 1, 1, 1), 4, Stem(), 0.5, 3, 10).eval()
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(network(images), network.fc(network.extract(images)))
    network.dropout.train()
    assert not torch.equal(network(images), network(images))


@given(
    kernel=st.integers(1, 11),
    stride=st.integers(1, 4),
    padding=st.integers(0, 5),
    maxpool=st.booleans(),
)
def test_a_stem_knows_the_smallest_image_it_can_take(kernel: int, stride: int, padding: int, maxpool: bool) -> None:
    stem = Stem(kernel=kernel, stride=stride, padding=padding, maxpool=maxpool)
    smallest = stem.smallest_resolution(SMALLEST_MAP)
    assert map_after(stem, smallest) >= SMALLEST_MAP
    assert smallest == 1 or map_after(stem, smallest - 1) < SMALLEST_MAP


def map_after(stem: Stem, resolution: int) -> int:
    """Pixels a side after the stem's convolution and pool, by torch; 0 where the kernel does not fit."""
    images = torch.zeros(1, 1, resolution, resolution)
    if resolution + 2 * stem.padding < stem.kernel:
        return 0
    after = torch.nn.Conv2d(1, 1, stem.kernel, stem.stride, stem.padding)(images)
    if stem.maxpool:
        after = torch.nn.functional.max_pool2d(after, 3, stride=2, padding=1)
    return int(after.shape[2])


@pytest.mark.parametrize(
    "model", [ResNet18(width=4), TernaryResNet18(width=4), Tgn(width=4)], ids=lambda model: model.name
)
def test_zeroed_residual_branches_leave_the_skips_alone_until_the_first_step(model: Model) -> None:
    """So only stem and projections shape the features, and every weight inside a branch waits for its BatchNorm's."""
    info = DatasetInfo(tuple("abcd"), 3, 16, (0.5,) * 3, (0.2,) * 3, 8, ("x", "y"), (0, 0, 1, 1))
    torch.manual_seed(0)
    network = model.model_copy(update={"zero_init_residual": True}).build(info)
    trunk = next(module for module in network.modules() if isinstance(module, Trunk))
    images = torch.randn(2, 3, 16, 16)
    x = torch.relu(trunk.bn1(trunk.conv1(images)))
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        for block in stage:
            x = torch.relu(x if block.downsample is None else block.downsample(x))
    torch.testing.assert_close(trunk.extract(images), x.mean((2, 3)))
    network(images).sum().backward()
    blocks = [block for block in network.modules() if isinstance(block, BasicBlock)]
    assert len(blocks) == 8
    for block in blocks:
        assert block.bn2.weight.grad.abs().sum() > 0
        assert block.conv1.weight.grad.abs().sum() == block.conv2.weight.grad.abs().sum() == 0
