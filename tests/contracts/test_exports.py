"""Every registered model, exported in every format and read back, says the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter

from cifar_tune.errors import ExportError
from cifar_tune.inspection import Predictor, read_trained
from cifar_tune.inspection.deployed import OPSETS
from cifar_tune.inspection.export import export
from cifar_tune.inspection.export_format import FILES, PROGRAMS, Format
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models import AnyModel, Model
from cifar_tune.training.models.ternary import TernaryResNet
from cifar_tune.training.trial import TrialConfig

SMALL = DatasetInfo(
    class_names=tuple(f"class {index}" for index in range(10)),
    channels=3,
    resolution=18,
    mean=(0.5, 0.4, 0.3),
    std=(0.25, 0.2, 0.3),
    train_images=1000,
    coarse_names=("first", "second", "third"),
    coarse_of_fine=tuple(min(index % 5, 2) for index in range(10)),
)
VARIANTS: dict[str, dict[str, Any]] = {
    **{member.model_fields["name"].default: {} for member in get_args(get_args(AnyModel)[0])},
    "mininet-published": {"variant": "published"},
    "resnet18-imagenet_stem": {"stem": {"kernel": 7, "stride": 2, "padding": 3, "maxpool": True}},
    "ternary_resnet18-ttq": {"method": "ttq"},
}
MODELS: dict[str, Model] = {
    variant: TypeAdapter(AnyModel).validate_python({"name": variant.split("-")[0], "width": 4, **options})
    for variant, options in VARIANTS.items()
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
every_model_traced = pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, id=name, marks=pytest.mark.nightly if "resnet34" in name else pytest.mark.slow)
        for name, model in MODELS.items()
    ],
)
"""To trace a network takes seconds; the deepest have no layer that the others lack."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pixels_of(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 18, 18), generator=generator, dtype=torch.uint8)


def trained(model: Model) -> TrainedModel:
    """A network whose running statistics are not those of the start."""
    trial = TrialConfig.model_validate(
        {
            "dataset": {"name": "cifar10"},
            "model": model.model_dump(),
            "optimizer": {"name": "sgd", "lr": 0.1},
            "epochs": 1,
            "precision": "float32",
        }
    )
    torch.manual_seed(0)
    network = model.build(SMALL).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, 18, 18))
    return TrainedModel(Path(), trial, SMALL, network.state_dict())


def log_probabilities(one: TrainedModel, pixels: torch.Tensor) -> torch.Tensor:
    """By the formula."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (SMALL.mean, SMALL.std))
    with torch.no_grad():
        logits = one.model(torch.device("cpu"))((pixels / 255 - mean) / std)
    return logits.log_softmax(1)


def check(one: TrainedModel, folder: Path, form: Format) -> None:
    """Exports in one format and compares what is read back, for one image and for several."""
    written = export(one, folder, [form], images=pixels_of(8))
    assert [each.file for each in written] == [FILES[form]]
    predictor = Predictor.load(folder, "cpu", allow_code=form == "torch_export")
    for count in (1, 5):
        found = predictor.probabilities(pixels_of(count).numpy()).log()
        torch.testing.assert_close(found, log_probabilities(one, pixels_of(count)), rtol=1e-4, atol=1e-5)


@every_model
def test_weights_are_read_back_bit_for_bit_and_say_the_same(model: Model, tmp_path: Path) -> None:
    one = trained(model)
    check(one, tmp_path / "x", "safetensors")
    found = read_trained(tmp_path / "x")
    assert found.trial == one.trial
    assert found.info == one.info
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in one.weights.items())


@every_model
def test_two_bits_a_weight_say_the_same(model: Model, tmp_path: Path) -> None:
    if isinstance(model, TernaryResNet):
        check(trained(model), tmp_path / "x", "ternary")
        return
    with pytest.raises(ExportError, match=f"format ternary is for ternary networks .*; this model is {model.name}"):
        export(trained(model), tmp_path / "x", ["ternary"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", PROGRAMS)
@every_model_traced
def test_a_program_says_the_same(model: Model, form: Format, tmp_path: Path) -> None:
    check(trained(model), tmp_path / "x", form)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("name", ["tgn", "mininet"])
def test_the_oldest_and_the_newest_opset_say_the_same(name: str, opset: int, tmp_path: Path) -> None:
    one = trained(MODELS[name])
    export(one, tmp_path / "x", ["onnx"], images=pixels_of(8), opset=opset)
    found = Predictor.load(tmp_path / "x", "cpu").probabilities(pixels_of(5).numpy()).log()
    torch.testing.assert_close(found, log_probabilities(one, pixels_of(5)), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["safetensors", "torch_export"])
def test_what_was_exported_on_a_cpu_says_the_same_on_a_card(form: Format, tmp_path: Path) -> None:
    one = trained(MODELS["resnet18"])
    export(one, tmp_path / "x", [form], images=pixels_of(8))
    found = (
        Predictor.load(tmp_path / "x", "cuda", allow_code=form == "torch_export")
        .probabilities(pixels_of(5).numpy())
        .log()
    )
    torch.testing.assert_close(found, log_probabilities(one, pixels_of(5)), rtol=1e-2, atol=1e-2)
