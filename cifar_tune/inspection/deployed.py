"""A trained network as a program that needs none of our code: pixels in, logits out."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from cifar_tune.errors import ExportError
from cifar_tune.inspection.export_format import INSTALL_ONNX
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.ternary import TernaryResNet
from cifar_tune.training.networks.bit_packing import pack_state, unpack_state
from cifar_tune.training.preparation import BRIGHTEST

CPU = torch.device("cpu")

OPSETS = range(18, 26)
"""Of ONNX: torch's exporter writes from 18 on (torch.onnx, TORCHLIB_OPSET); tests/contracts tries both ends."""
DEFAULT_OPSET = 20
"""torch.onnx's own default."""


class Deployed(nn.Module):
    """(N, C, H, W) uint8 pixels, RGB or grey -> (N, K) float32 logits; normalises, then asks the network."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, info: DatasetInfo) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", info.mean), ("std", info.std)):
            self.register_buffer(name, BRIGHTEST * torch.tensor(values).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images.float() - self.mean) / self.std)
        return logits


def deployed(trained: TrainedModel) -> Deployed:
    """Returns the network behind its normalisation, on the CPU."""
    return Deployed(trained.model(CPU).to(memory_format=torch.contiguous_format), trained.info).eval()


def plain(trained: TrainedModel) -> TrainedModel:
    """Returns the model with the weights that it computes with: a ternary one as the plain ResNet of three values."""
    if not isinstance(trained.trial.model, TernaryResNet):
        return trained
    trial = trained.trial.model_copy(update={"model": trained.trial.model.plain()})
    return TrainedModel(trained.folder, trial, trained.info, unpack_state(pack_state(trained.model(CPU))))


def write_program(trained: TrainedModel, file: Path) -> None:
    """Writes the model as a program of torch.export, for any number of images."""
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(deployed(plain(trained)), _example(trained.info), dynamic_shapes=({0: batch},))
    torch.export.save(program, file)


def write_onnx(trained: TrainedModel, file: Path, opset: int = DEFAULT_OPSET) -> None:
    """Writes the model in ONNX, for any number of images; class names stand in its metadata.

    Raises:
        ExportError: ONNX is not installed, or the opset is not supported.
    """
    check_opset(opset)
    import onnx

    info = trained.info
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.onnx deprecates parts of itself
        program = torch.onnx.export(
            deployed(plain(trained)),
            _example(info),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ExportError(f"{file.name}: torch.onnx made no program")
    program.model.metadata_props["class_names"] = json.dumps(info.class_names)
    program.save(file)
    written = {one.domain: one.version for one in onnx.load(file, load_external_data=False).opset_import}
    if written.get("") != opset:
        raise ExportError(f"torch.onnx wrote opset {written.get('')}, not {opset}; allowed are those that it can write")


def check_opset(opset: int) -> None:
    """Returns if ONNX is installed and can be written in this opset.

    Raises:
        ExportError: it is not, or cannot.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(f"ONNX needs {error.name}, which is not installed: {INSTALL_ONNX}") from None
    if opset not in OPSETS:
        raise ExportError(f"ONNX opset {opset} is not supported; allowed are {OPSETS.start} to {OPSETS.stop - 1}")


def _example(info: DatasetInfo) -> tuple[Tensor]:
    """Returns two images: of one, torch.export would take the number for fixed."""
    return (torch.zeros(2, info.channels, info.resolution, info.resolution, dtype=torch.uint8),)
