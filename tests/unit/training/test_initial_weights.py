"""Weights of others: taken by name, checked by shape, told what became of each, and never unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from cifar_tune.errors import CheckpointError, ConfigError
from cifar_tune.training.check import check_trial
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.initial_weights import load_weights, match_weights
from cifar_tune.training.models import Model
from cifar_tune.training.models.mininet import MiniNet
from cifar_tune.training.models.resnet import ResNet18, ResNet34
from cifar_tune.training.models.stem import Stem
from cifar_tune.training.models.ternary import TernaryResNet18
from cifar_tune.training.models.tgn import Tgn
from cifar_tune.training.state import create_state
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
IMAGENET_STEM = Stem(kernel=7, stride=2, padding=3, maxpool=True)


def info(classes: int = 10, resolution: int = 64) -> DatasetInfo:
    names = tuple(f"class {index}" for index in range(classes))
    return DatasetInfo(
        names, 3, resolution, (0.5,) * 3, (0.25,) * 3, 1000, ("a", "b"), tuple(index % 2 for index in range(classes))
    )


def saved(folder: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, folder / "theirs.pth")
    return folder / "theirs.pth"


def loaded(model: Model, file: Path, classes: int = 10) -> nn.Module:
    network = model.build(info(classes))
    load_weights(network, match_weights(file, model, info(classes)))
    return network.eval()


@pytest.mark.parametrize(
    ("name", "model"), [("resnet18", ResNet18), pytest.param("resnet34", ResNet34, marks=pytest.mark.slow)]
)
def test_torchvisions_resnet_says_the_same_with_its_weights_here(
    name: str, model: type[ResNet18 | ResNet34], tmp_path: Path
) -> None:
    from torchvision import models

    torch.manual_seed(0)
    theirs = models.get_model(name, weights=None, num_classes=10)
    with torch.no_grad():
        theirs(torch.randn(4, 3, 64, 64))
    ours = loaded(model(stem=IMAGENET_STEM), saved(tmp_path, theirs.state_dict()))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs.eval()(images))


class PublishedUnit(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self._depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self._pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self._norm = nn.BatchNorm2d(outputs)
        self._activation_fn = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self._activation_fn(self._norm(self._pointwise(self._depthwise(x))))


class PublishedBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self._conv_stack = nn.Sequential(PublishedUnit(inputs, outputs, stride), PublishedUnit(outputs, outputs, 1))
        self.projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.same, self.pool = inputs == outputs, nn.AvgPool2d(stride)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_stack(x) + (self.pool(x) if self.same else self.projection(x))


def published_mininet(classes: int) -> nn.Sequential:
    """The published net after its description, at width 4, by the newer names of its layers."""
    from torchvision.ops import SqueezeExcitation

    shapes = [(4, 8, 1), (8, 8, 1), (8, 16, 2), (16, 32, 2), (32, 32, 2)]
    backbone = [
        part
        for inputs, outputs, stride in shapes
        for part in (PublishedBlock(inputs, outputs, stride), SqueezeExcitation(outputs, outputs // 8, nn.PReLU))
    ]
    stem = [nn.Conv2d(3, 4, 5, 1, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    stem += [nn.Conv2d(4, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    classifier = [nn.AdaptiveAvgPool2d(1), nn.Dropout(0.25), nn.Flatten(), nn.Linear(32, classes)]
    network = nn.Sequential()
    network.add_module("_stem", nn.Sequential(*stem))
    network.add_module("_backbone", nn.Sequential(*backbone, PublishedBlock(32, 32, 1)))
    network.add_module("_classifier", nn.Sequential(*classifier))
    return network


OLDER_NAMES = {
    "_stem": "stem", "_backbone": "seq", "_conv_stack": "seq", "_depthwise": "depthwise", "_pointwise": "pointwise",
    "_norm": "bn", "_activation_fn": "activation", "_classifier.3": "seq.14",
}  # fmt: skip


@pytest.mark.parametrize("names", [{}, OLDER_NAMES], ids=["newer names", "older names"])
def test_the_published_mininet_says_the_same_with_its_weights_here(names: dict[str, str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = published_mininet(10)
    with torch.no_grad():
        theirs(torch.randn(4, 3, 32, 32))
    state = {}
    for name, tensor in theirs.state_dict().items():
        for newer, older in names.items():
            name = name.replace(newer, older)
        state[name] = tensor
    model = MiniNet(variant="published", activation="prelu", width=4)
    torch.save({"epoch": 299, "model_state_dict": state}, tmp_path / "theirs")
    ours = loaded(model, tmp_path / "theirs")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs.eval()(images))


def test_the_published_mininets_unused_projections_do_not_fit_the_live_one(tmp_path: Path) -> None:
    file = saved(tmp_path, published_mininet(10).state_dict())
    with pytest.raises(CheckpointError, match=r"_backbone\.2\.projection\.0\.weight .* nothing of that name here"):
        match_weights(file, MiniNet(activation="prelu", width=4), info())


def test_the_head_of_other_classes_stays_out_and_is_told(tmp_path: Path) -> None:
    file = saved(tmp_path, ResNet18(width=4).build(info(7)).state_dict())
    matching = match_weights(file, ResNet18(width=4), info(10))
    assert matching.fresh == ("fc.weight", "fc.bias")
    head = 10 * 32 + 10
    assert str(matching).splitlines() == [
        f"initial weights from {file}: {matching.of_parameters - head:,} of {matching.of_parameters:,} parameters, "
        "120 tensors",
        "  left out: fc.weight, [7, 32] there, [10, 32] here",
        "  left out: fc.bias, [7] there, [10] here",
        "  fresh: fc.weight, fc.bias",
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (ResNet34(width=4), ResNet18(width=4), r"layer1\.2\.conv1\.weight \[4, 4, 3, 3\] there, nothing of that name"),
        (ResNet18(width=4), ResNet34(width=4), r"layer1\.2\.conv1\.weight is missing"),
        (ResNet18(width=8), ResNet18(width=4), r"bn1\.weight \[8\] there, \[4\] here; .*; and \d+ more; only what"),
        (MiniNet(width=4), ResNet18(width=4), r"is of another network than resnet18 with these options"),
    ],
)
def test_weights_of_another_network_are_refused(theirs: Model, ours: Model, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        match_weights(saved(tmp_path, theirs.build(info()).state_dict()), ours, info())


def test_a_resnet18_becomes_the_trunk_of_a_tgn(tmp_path: Path) -> None:
    theirs = ResNet18(width=4).build(info())
    ours = loaded(Tgn(width=4), saved(tmp_path, theirs.state_dict()))
    assert torch.equal(ours.get_parameter("trunk.layer4.1.conv2.weight"), theirs.get_parameter("layer4.1.conv2.weight"))


def test_float_weights_give_ttq_its_scales(tmp_path: Path) -> None:
    theirs = ResNet18(width=4).build(info())
    ours = loaded(TernaryResNet18(width=4, method="ttq"), saved(tmp_path, theirs.state_dict()))
    weight = theirs.get_parameter("layer2.0.conv1.weight")
    kept = weight[weight > 0.05 * weight.abs().max()]
    torch.testing.assert_close(ours.get_parameter("layer2.0.conv1.positive_scale"), kept.mean())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_what_wrappers_put_before_names_is_taken_off(prefix: str, tmp_path: Path) -> None:
    theirs = ResNet18(width=4).build(info())
    state = {prefix + name: tensor for name, tensor in theirs.state_dict().items() if "num_batches" not in name}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "x.pth")
    assert match_weights(tmp_path / "x.pth", ResNet18(width=4), info()).fresh == ()


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return print, ("run",)


def test_a_file_that_needs_more_than_tensors_is_refused_with_the_reason_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.pth"
    for content, objects in ((ResNet18(width=4).build(info()), r"cifar_tune\S+ResNet"), ({"a": Harmful()}, "print")):
        torch.save(content, file)
        with pytest.raises(CheckpointError, match=rf"holds Python objects \(\S*{objects}\), not tensors alone"):
            match_weights(file, ResNet18(width=4), info())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.pth", None, "none.pth is not there"),
        ("x.pth", b"no weights", "is not a file of weights that torch.load or safetensors reads"),
        ("x.pth", pickle.dumps([1]), "holds no state dict|is not a file of weights"),
        ("x.safetensors", b"no weights", "is not a safetensors file"),
    ],
)
def test_a_file_of_something_else_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        match_weights(tmp_path / name, ResNet18(width=4), info())


def test_a_record_without_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"holds no state dict: .* it has dict \(epoch\)"):
        match_weights(tmp_path / "x.pth", ResNet18(width=4), info())


def test_a_trial_begins_with_its_initial_weights(small_trial: Callable[..., TrialConfig], tmp_path: Path) -> None:
    theirs = ResNet18(width=4).build(info(resolution=8))
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    model = {"name": "resnet18", "width": 4}
    for path in (tmp_path, tmp_path / "model.safetensors"):
        trial = small_trial(model=model, initial_weights=str(path), ema={"decay": 0.9})
        check_trial(trial, info(resolution=8))
        state = create_state(trial, info(resolution=8), CPU)
        assert state.average is not None
        for network in (state.model, state.average.model):
            assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_initial_weights_that_do_not_fit_are_a_problem_of_the_trial(
    small_trial: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"trial\.initial_weights: .*none\.pth is not there"):
        check_trial(small_trial(initial_weights=str(tmp_path / "none.pth")), info(resolution=8))
