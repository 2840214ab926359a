"""A folder of an exported model, as it is read back.

config.json                what using the model takes: classes, preparation of images, files with checksums
trial.json                 the trial that it comes from; `python -m cifar_tune.train FOLDER` trains it again
model.safetensors          the weights
model.ternary.safetensors  the weights of a ternary network, two bits each
model.onnx, model.pt2      the network as a program, with the normalisation inside
README.md                  the model card
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from pydantic import ValidationError

from cifar_tune.errors import CheckpointError
from cifar_tune.inspection.card import Confirmed, Provenance
from cifar_tune.inspection.export_format import CONFIG, FORMAT, PREFERRED, SAFETENSORS, TERNARY
from cifar_tune.training.checkpoint import TrainedModel, dataset_info
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.manifest import TRIAL
from cifar_tune.training.models.ternary import TernaryResNet
from cifar_tune.training.networks.bit_packing import unpack_state
from cifar_tune.training.trial import TrialConfig


@dataclass(frozen=True)
class ExportedFolder:
    """What stands in config.json and trial.json. checksums: SHA-256 by name of file."""

    folder: Path
    trial: TrialConfig
    info: DatasetInfo
    checksums: Mapping[str, str]
    config: Mapping[str, Any]

    def verified(self, name: str) -> Path:
        """Returns the path of a file. Raises CheckpointError where it is missing or not what was written."""
        path = self.folder / name
        if name not in self.checksums:
            raise CheckpointError(f"{self.folder} holds no {name}; it holds {', '.join(self.checksums)}")
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise CheckpointError(f"{path} is missing") from None
        if found != self.checksums[name]:
            raise CheckpointError(f"{path} is corrupt: its checksum is not that of {CONFIG}")
        return path


def is_exported(path: Path) -> bool:
    """Returns whether the path is an exported model's folder, or a file in one."""
    return ((path.parent if path.is_file() else path) / CONFIG).is_file()


def open_exported(path: Path) -> ExportedFolder:
    """Returns what an exported folder, or that of an exported file, says of itself.

    Raises:
        CheckpointError: it is not an exported model, or one of another format or version.
    """
    folder = path.parent if path.is_file() else path
    path = folder / CONFIG
    try:
        config = json.loads(path.read_bytes())
        if config["format"] != FORMAT:
            raise CheckpointError(
                f"{folder} is in export format {config['format']}; this version of cifar_tune reads {FORMAT}"
            )
        info = dataset_info(config["dataset"])
        checksums = {str(name): str(about["sha256"]) for name, about in config["files"].items()}
        if not checksums.keys() & set(PREFERRED):
            raise ValueError("no model among the files")
        trial = TrialConfig.model_validate_json((folder / TRIAL).read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename} is missing: {folder} is not a whole exported model") from None
    except ValidationError as error:
        raise CheckpointError(f"{folder / TRIAL}: not a trial of this version of cifar_tune: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError(f"{path} is not the {CONFIG} of an exported model, or is corrupt") from None
    return ExportedFolder(folder, trial, info, checksums, config)


def read_exported(path: Path) -> TrainedModel:
    """Returns the network of an exported folder, or of one file of weights in it.

    Ternary weights come as those of the plain ResNet that computes the same, and the trial names that one.

    Raises:
        CheckpointError: it is corrupt, of another format, or holds programs only.
    """
    exported = open_exported(path)
    held = [name for name in (SAFETENSORS, TERNARY) if name in exported.checksums]
    name = held[0] if path.is_dir() and held else path.name
    if name not in (SAFETENSORS, TERNARY):
        raise CheckpointError(f"{path} holds a program only ({', '.join(exported.checksums)}); here weights are needed")
    file = exported.verified(name)
    try:
        weights = safetensors.torch.load_file(file)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file} is not a safetensors file: {error}") from None
    trial = exported.trial
    if name == TERNARY and isinstance(trial.model, TernaryResNet):
        weights = unpack_state(weights)
        trial = trial.model_copy(update={"model": trial.model.plain()})
    return TrainedModel(exported.folder, trial, exported.info, weights)


def provenance_in(path: Path) -> Provenance:
    """Returns what an exported folder tells of its network. Raises CheckpointError as `open_exported`."""
    told = open_exported(path).config["provenance"]
    return Provenance(**{**told, "confirmed": tuple(Confirmed(**one) for one in told["confirmed"])})
