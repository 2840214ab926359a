"""A trial on disk: written whole or not at all, verified when read, and never unpickled.

<checkpoints>/last/      after the last epoch          model.safetensors  the weights that validation scored
<checkpoints>/previous/  after the one before          state.pt           what else training needs to go on
<checkpoints>/best/      after the best one            trial.json         the trial's configuration
                                                       manifest.json      format, curve, data set, checksums

`best` has no state.pt: nothing goes on from it. Neither has `last` once its trial is over for good.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from cifar_tune.errors import CheckpointError
from cifar_tune.storage.copies import copy_here
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.manifest import (
    ENVIRONMENTS,
    FORMAT,
    MANIFEST,
    MODEL,
    TRAINING,
    TRIAL,
    CorruptCheckpointError,
    read_manifest,
    sealed,
)
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.randomness import global_draws
from cifar_tune.training.reproducibility import ComputeEnvironment
from cifar_tune.training.state import TrainingState
from cifar_tune.training.trial import TrialConfig


@dataclass(frozen=True)
class TrainedModel:
    """A network as `folder` holds it, and what using it takes. weights: on the CPU."""

    folder: Path
    trial: TrialConfig
    info: DatasetInfo
    weights: Mapping[str, Tensor]

    @property
    def digest(self) -> str:
        """Of the weights, whatever file they came in."""
        ordered = {name: self.weights[name].contiguous() for name in sorted(self.weights)}
        return hashlib.sha256(safetensors.torch.save(ordered)).hexdigest()

    def model(self, device: torch.device) -> nn.Module:
        """Returns the network, ready to be evaluated. Raises CheckpointError where the weights do not fit it."""
        with global_draws(0, torch.device("cpu")):
            network = self.trial.model.build(self.info)
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.folder} names {self.info.classes} classes and a {self.trial.model.name}, and its weights are "
                f"of another network: {' '.join(str(error).split())}"
            ) from None
        layout = torch.channels_last if self.trial.channels_last else torch.contiguous_format
        return network.to(device).to(memory_format=layout).eval()


@dataclass(frozen=True)
class Checkpoint(TrainedModel):
    """What a checkpoint's folder holds.

    weights: of the model that validation scored. training: see `serialize`; epoch and history alone where it
    has the weights alone.
    """

    training: Mapping[str, Any]
    environments: tuple[ComputeEnvironment, ...] = ()

    @property
    def history(self) -> list[EpochMetrics]:
        return [EpochMetrics(**record) for record in self.training["history"]]

    @property
    def resumable(self) -> bool:
        """Whether training can go on from it."""
        return "optimizer" in self.training


def serialize(state: TrainingState, trial: TrialConfig, info: DatasetInfo) -> dict[str, bytes]:
    """Returns every file of a checkpoint by name; the manifest is the last."""
    scored = state.scored_model(trial)
    training = {
        "epoch": state.epoch,
        "step": state.step,
        "optimizer": state.optimizer.state_dict(),
        "scaler": None if state.scaler is None else state.scaler.state_dict(),
        "model": None if scored is state.model else state.model.state_dict(),
        "average": None if state.average is None or scored is not state.model else state.average.model.state_dict(),
    }
    stream = BytesIO()
    torch.save(training, stream)
    weights = {name: tensor.contiguous() for name, tensor in scored.state_dict().items()}
    files = {
        MODEL: safetensors.torch.save(weights),
        TRAINING: stream.getvalue(),
        TRIAL: trial.model_dump_json(indent=2).encode(),
    }
    manifest = {
        "format": FORMAT,
        "epoch": state.epoch,
        "dataset": asdict(info),
        ENVIRONMENTS: [asdict(environment) for environment in state.environments],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "history": [asdict(metrics) for metrics in state.history],
    }
    return {**files, MANIFEST: sealed(manifest)}


def read_checkpoint(folder: Path) -> Checkpoint:
    """Returns the checkpoint in `folder`, every checksum verified.

    Raises:
        CheckpointError: It is corrupt, or was written in another format.
    """
    manifest = read_manifest(folder)
    with_training = TRAINING in manifest["files"] or manifest["format"] == 1
    names = (MODEL, TRAINING, TRIAL) if with_training else (MODEL, TRIAL)
    content = {name: _verified(folder / name, manifest["files"].get(name)) for name in names}
    try:
        trial = TrialConfig.model_validate_json(content[TRIAL])
    except ValidationError as error:
        raise CheckpointError(f"{folder / TRIAL}: not a trial of this version of cifar_tune: {error}") from None
    training: dict[str, Any] = {key: manifest[key] for key in manifest if key in ("epoch", "history")}
    if TRAINING in content:
        training |= _training(content[TRAINING], folder / TRAINING)
    weights = safetensors.torch.load(content[MODEL])
    return Checkpoint(folder, trial, dataset_info(manifest["dataset"]), weights, training, _environments(manifest))


def recorded_environments(trial_folder: Path) -> tuple[ComputeEnvironment, ...]:
    """Returns in which environments a trial's newest checkpoint was computed; nothing where none says."""
    for name in ("last", "previous", "best"):
        try:
            return _environments(read_manifest(trial_folder / name))
        except CheckpointError:
            continue
    return ()


def _training(content: bytes, path: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(BytesIO(content), map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path} holds more than tensors and plain values; it is not loaded") from None


def restore(state: TrainingState, trial: TrialConfig, checkpoint: Checkpoint) -> None:
    """Brings a new state of `trial` to where the checkpoint was taken.

    Epochs, schedule and the optimizer's numbers may differ from the checkpoint's; what its tensors belong to may not.

    Raises:
        CheckpointError: It is of another model, data set or optimizer.
    """
    _refuse_other_trial(trial, checkpoint)
    training = checkpoint.training
    scored = state.scored_model(trial)
    scored.load_state_dict(checkpoint.weights)
    if scored is not state.model:
        state.model.load_state_dict(training["model"])
    elif state.average is not None:
        state.average.model.load_state_dict(training["average"])
    _load_tensors(state.optimizer, training["optimizer"])
    if state.scaler is not None and training["scaler"] is not None:
        state.scaler.load_state_dict(training["scaler"])
    state.epoch, state.step, state.history = training["epoch"], training["step"], checkpoint.history
    if checkpoint.environments[-1:] != state.environments:
        state.environments = (*checkpoint.environments, *state.environments)
    else:
        state.environments = checkpoint.environments


def _load_tensors(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Loads what an optimizer has gathered of each parameter; rates and decays stay those that it was built with."""
    own = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(saved))
    for group, options in zip(optimizer.param_groups, own, strict=True):
        group.update(options)


def _environments(manifest: Mapping[str, Any]) -> tuple[ComputeEnvironment, ...]:
    return tuple(map(ComputeEnvironment.of_record, manifest.get(ENVIRONMENTS, ())))


def _verified(path: Path, checksum: object) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CorruptCheckpointError(f"{path} is missing") from None
    if hashlib.sha256(content).hexdigest() != checksum:
        raise CorruptCheckpointError(f"{path} is corrupt: its checksum is not that of {MANIFEST}")
    return content


def dataset_info(values: Mapping[str, Any]) -> DatasetInfo:
    """Returns what `asdict` was given, after a way through JSON."""
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return DatasetInfo(**fields)


def _refuse_other_trial(trial: TrialConfig, checkpoint: Checkpoint) -> None:
    theirs = checkpoint.trial
    parts = {
        "model": (trial.model, theirs.model),
        "dataset": (trial.dataset, theirs.dataset),
        "optimizer": (trial.optimizer.name, theirs.optimizer.name),
        "ema": (trial.ema is not None, theirs.ema is not None),
        "evaluation.weights": (trial.evaluation.weights, theirs.evaluation.weights),
    }
    for path, (wanted, found) in parts.items():
        if wanted != found:
            raise CheckpointError(
                f"{checkpoint.folder} is of another trial: its {path} is {found!r}, and {wanted!r} is wanted"
            )


def load_model(place: str, info: DatasetInfo, device: torch.device | str) -> nn.Module:
    """Returns the trained network of a checkpoint, ready to be evaluated on images of a data set.

    Args:
        place: folder of a checkpoint, or the s3:// or gs:// address of one.
        info: of the images.
        device: where the network is to be.

    Raises:
        CheckpointError: there is no whole checkpoint.
        ConfigError: its network does not take such images.
    """
    checkpoint = read_checkpoint(copy_here(place))
    checkpoint.trial.model.check(info)
    return checkpoint.model(torch.device(device))
