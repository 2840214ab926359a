"""A trained network written for others to use: each file is read back and checked before the folder appears."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

import cifar_tune
from cifar_tune.errors import ExportError
from cifar_tune.inspection.card import Provenance, model_card, preparation_steps
from cifar_tune.inspection.deployed import (
    CPU,
    DEFAULT_OPSET,
    check_opset,
    deployed,
    plain,
    write_onnx,
    write_program,
)
from cifar_tune.inspection.export_format import CARD, CONFIG, FILES, FORMAT, PROGRAMS, Format, Written
from cifar_tune.inspection.exported import read_exported
from cifar_tune.inspection.programs import LOADERS
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.manifest import TRIAL
from cifar_tune.training.models.ternary import TernaryResNet
from cifar_tune.training.networks.bit_packing import pack_state

TOLERANCE = 1e-4
"""Of the largest logit: what a program's logits may differ from the network's. float32 has 6e-8 a rounding; the
networks of tests/contracts differ by up to 1e-6 on a CPU."""


def check_export(trained: TrainedModel, folder: Path, formats: Sequence[Format], opset: int) -> None:
    """Returns if there is nothing in the way of an export; does no work.

    Raises:
        ExportError: the folder is there already, the model has no such format, or a package is not installed.
    """
    if folder.exists():
        raise ExportError(f"{folder} is there already; name another with --output, or move it away")
    if "ternary" in formats and not isinstance(trained.trial.model, TernaryResNet):
        raise ExportError(
            f"format ternary is for ternary networks (ternary_resnet18, ternary_resnet34); "
            f"this model is {trained.trial.model.name}"
        )
    if "onnx" in formats:
        check_opset(opset)


def export(
    trained: TrainedModel,
    folder: Path,
    formats: Sequence[Format] = ("safetensors",),
    *,
    images: Tensor | None = None,
    opset: int = DEFAULT_OPSET,
    provenance: Provenance | None = None,
) -> list[Written]:
    """Writes the folder, whole or not at all; returns its models.

    images: (N, C, H, W) uint8 real ones, by which programs are checked; only weights need none.

    Raises:
        ExportError: what `check_export` says, or a program's logits are not the network's.
    """
    check_export(trained, folder, formats, opset)
    trained = _without_places(trained)
    if images is None and set(formats) & set(PROGRAMS):
        raise ExportError(f"formats {', '.join(PROGRAMS)} are checked on real images, and none were given")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        written = [_write(trained, new, one, images, opset) for one in dict.fromkeys(formats)]
        (new / TRIAL).write_text(trained.trial.model_dump_json(indent=2), encoding="utf-8")
        told = provenance or Provenance()
        (new / CONFIG).write_text(json.dumps(_config(trained, written, told), indent=2) + "\n", encoding="utf-8")
        (new / CARD).write_text(model_card(trained, folder.name, written, told), encoding="utf-8")
        _check_weights(trained, new, written)
        new.chmod(0o755)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return written


def _without_places(trained: TrainedModel) -> TrainedModel:
    """The model with its initial weights by name alone: their path means nothing elsewhere, and may tell too much."""
    place = trained.trial.initial_weights
    name = None if place is None else Path(place).name
    return replace(trained, trial=trained.trial.model_copy(update={"initial_weights": name}))


def _write(trained: TrainedModel, folder: Path, one: Format, images: Tensor | None, opset: int) -> Written:
    file = folder / FILES[one]
    writers: Mapping[Format, Callable[[], None]] = {
        "safetensors": lambda: _save(trained.weights, file),
        "ternary": lambda: _save(pack_state(trained.model(CPU)), file),
        "torch_export": lambda: write_program(trained, file),
        "onnx": lambda: write_onnx(trained, file, opset),
    }
    writers[one]()
    difference = _largest_difference(trained, file, images) if one in PROGRAMS and images is not None else None
    with file.open("rb") as content:
        checksum = hashlib.file_digest(content, "sha256").hexdigest()
    count = 0 if images is None or difference is None else len(images)
    return Written(one, file.name, checksum, file.stat().st_size, difference, count)


@torch.inference_mode()
def _largest_difference(trained: TrainedModel, file: Path, images: Tensor) -> float:
    """Returns that between a program's logits and the network's, in float32. Raises ExportError where it is large."""
    expected = deployed(trained)(images)
    difference = float((LOADERS[file.name](file, CPU)(images) - expected).abs().max())
    allowed = TOLERANCE * float(expected.abs().max())
    if not difference <= allowed:
        raise ExportError(
            f"{file.name} is not the network: its logits differ by up to {difference:.2g} on {len(images)} images, "
            f"and {allowed:.2g} is allowed; nothing was written"
        )
    return difference


def _check_weights(trained: TrainedModel, folder: Path, written: Sequence[Written]) -> None:
    for one in written:
        if one.format not in PROGRAMS:
            expected = plain(trained).weights if one.format == "ternary" else trained.weights
            found = read_exported(folder / one.file).weights
            same = found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
            if not same:
                raise ExportError(f"{one.file} was not read back as it was written; nothing was written")


def _config(trained: TrainedModel, written: Sequence[Written], provenance: Provenance) -> dict[str, Any]:
    trial, info = trained.trial, trained.info
    return {
        "format": FORMAT,
        "made_by": f"cifar_tune {cifar_tune.__version__}",
        "model": trial.model.model_dump(),
        "dataset": asdict(info),
        "preprocessing": {"channels": "RGB" if info.channels == 3 else "grey", "steps": preparation_steps(info)},
        "mirror": trial.evaluation.mirror,
        "provenance": asdict(provenance),
        "files": {one.file: _described(one) for one in written},
    }


def _described(one: Written) -> dict[str, Any]:
    takes = "(N, C, H, W) uint8 pixels; normalises them itself" if one.format in PROGRAMS else "normalised images"
    return {"takes": takes, "gives": "(N, K) float32 logits"} | asdict(one)


def _save(weights: Mapping[str, Tensor], file: Path) -> None:
    file.write_bytes(safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()}))
