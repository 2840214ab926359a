"""What every registered model must do, and every variant of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.flops import count_parameters
from cifar_tune.training.models import AnyModel, Model

MEMBERS: tuple[type[Model], ...] = get_args(get_args(AnyModel)[0])
VARIANTS: dict[str, dict[str, Any]] = {
    **{member.model_fields["name"].default: {} for member in MEMBERS},
    "mininet-published": {"variant": "published"},
    "mininet-newer": {"variant": "newer"},
    "resnet18-imagenet_stem": {"stem": {"kernel": 7, "stride": 2, "padding": 3, "maxpool": True}},
    "ternary_resnet18-ttq": {"method": "ttq"},
}
MODELS = {
    variant: TypeAdapter(AnyModel).validate_python({"name": variant.split("-")[0], "width": 4, **options})
    for variant, options in VARIANTS.items()
}
SHAPES = {"digits": (1, 8, 10), "cifar10": (3, 32, 10), "cifar100": (3, 32, 100), "food101": (3, 64, 101)}


def info_of(channels: int, resolution: int, classes: int) -> DatasetInfo:
    """A data set with superclasses of unequal sizes."""
    return DatasetInfo(
        class_names=tuple(f"class {index}" for index in range(classes)),
        channels=channels,
        resolution=resolution,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        train_images=1000,
        coarse_names=("first", "second", "third"),
        coarse_of_fine=tuple(min(index % 5, 2) for index in range(classes)),
    )


SMALL = info_of(3, 18, 10)
"""The fewest pixels that all variants take, and one more."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def built(model: Model, info: DatasetInfo = SMALL) -> nn.Module:
    torch.manual_seed(0)
    return model.build(info)


def images_of(count: int, info: DatasetInfo = SMALL) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, info.channels, info.resolution, info.resolution, generator=generator)


def settled(network: nn.Module) -> nn.Module:
    """The network in evaluation, with running statistics that are not those of the start."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(images_of(8))
    return network.eval()


every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
every_model_traced = pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, id=name, marks=pytest.mark.nightly if "resnet34" in name else pytest.mark.slow)
        for name, model in MODELS.items()
    ],
)
"""To trace a network takes seconds; the deepest have no layer that the others lack."""


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@every_model
def test_the_output_has_one_finite_column_a_class(model: Model, shape: tuple[int, int, int]) -> None:
    info = info_of(*shape)
    if info.resolution < model.smallest_resolution():
        with pytest.raises(DatasetError, match="takes images of at least"):
            model.check(info)
        return
    model.check(info)
    logits = built(model, info)(images_of(2, info))
    assert logits.shape == (2, info.classes)
    assert logits.isfinite().all()


@every_model
def test_the_smallest_resolution_and_odd_ones_work(model: Model) -> None:
    smallest = model.smallest_resolution()
    for resolution in (smallest, smallest + 1, smallest + 2, smallest + 6):
        info = info_of(3, resolution, 10)
        model.check(info)
        assert built(model, info)(images_of(2, info)).shape == (2, 10)


@every_model
def test_too_small_images_are_refused_before_any_work(model: Model) -> None:
    smallest = model.smallest_resolution()
    message = (
        f"model {model.name} .* at least {smallest} x {smallest} pixels; the data set's resolution is {smallest - 1}"
    )
    with pytest.raises(DatasetError, match=message):
        model.check(info_of(3, smallest - 1, 10))


@every_model
def test_gradients_reach_every_parameter_that_is_not_frozen(model: Model) -> None:
    network = built(model)
    F.cross_entropy(network(images_of(16)), torch.arange(16) % 10).backward()
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert without == []


@every_model
def test_a_few_steps_on_one_batch_learn_it(model: Model) -> None:
    network = built(model)
    images, labels = images_of(16), torch.arange(16) % 10
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        loss = F.cross_entropy(network(images), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2


@every_model
def test_evaluation_is_deterministic_and_each_image_is_on_its_own(model: Model) -> None:
    network = settled(built(model))
    images = images_of(5)
    with torch.no_grad():
        together = network(images)
        assert torch.equal(together, network(images))
        torch.testing.assert_close(
            torch.cat([network(image[None]) for image in images]), together, rtol=1e-4, atol=1e-5
        )


@every_model
def test_the_same_seed_gives_the_same_weights(model: Model) -> None:
    first, second = built(model).state_dict(), built(model).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_model
def test_a_state_dict_carries_the_whole_function(model: Model) -> None:
    network = settled(built(model))
    other = model.build(SMALL).eval()
    other.load_state_dict(network.state_dict(), strict=True)
    assert torch.equal(other(images_of(3)), network(images_of(3)))


@every_model
def test_channels_last_gives_the_same_as_contiguous(model: Model) -> None:
    network = settled(built(model))
    images = images_of(3)
    expected = network(images)
    found = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@every_model
def test_mixed_precision_stays_finite_and_near_float32(model: Model, dtype: torch.dtype) -> None:
    network = settled(built(model))
    images = images_of(8)
    expected = network(images).softmax(1)
    with torch.autocast("cpu", dtype):
        logits = network(images)
    torch.testing.assert_close(logits.float().softmax(1), expected, rtol=0, atol=0.05)
    network.train()
    with torch.autocast("cpu", dtype):
        logits = network(images)
    F.cross_entropy(logits.float(), torch.arange(8)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.grad is not None)


@every_model
def test_the_schema_survives_json(model: Model) -> None:
    assert TypeAdapter(AnyModel).validate_json(model.model_dump_json()) == model


@every_model
def test_parameters_are_counted_without_building_them(model: Model) -> None:
    assert count_parameters(model, SMALL) == sum(parameter.numel() for parameter in built(model).parameters())


@every_model
def test_the_layers_whose_shape_follows_the_classes_are_output_layers(model: Model) -> None:
    shapes = [
        {name: value.shape for name, value in built(model, info_of(3, 18, classes)).named_parameters()}
        for classes in (10, 25)
    ]
    differing = {name for name, shape in shapes[0].items() if shapes[1][name] != shape}
    assert differing
    assert all(name.startswith(model.output_layers) for name in differing)


@every_model_traced
def test_the_network_can_be_exported(model: Model) -> None:
    network = settled(built(model))
    batch = torch.export.Dim("batch", min=1, max=1024)
    exported = torch.export.export(network, (images_of(3),), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(exported.module()(images_of(5)), network(images_of(5)))


@every_model_traced
def test_a_compiled_network_trains_the_same(model: Model) -> None:
    """With the inductor left out, since its float arithmetic is not ours to test."""
    network, labels = built(model), torch.arange(8)
    if isinstance(dropout := getattr(model, "dropout", None), float) and dropout:
        network = built(model.model_copy(update={"dropout": 0.0}))
    F.cross_entropy(network(images_of(8)), labels).backward()
    expected = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    F.cross_entropy(compiled(images_of(8)), labels).backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
