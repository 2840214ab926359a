"""Weights that others have trained, taken over by name and checked by shape. Nothing is unpickled but tensors."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from cifar_tune.errors import CheckpointError
from cifar_tune.layout import MODEL_FILE
from cifar_tune.storage.copies import copy_here
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.flops import on_meta
from cifar_tune.training.models import Model
from cifar_tune.training.networks.ternary import TtqConvolution

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts keep the state dict in a larger record."""

PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")
"""What DataParallel and torch.compile put before every name."""

COUNTER = "num_batches_tracked"
"""Of BatchNorm; files older than it lack it, and nothing here reads it."""

SHOWN = 5
"""Problems in a message; the rest are counted."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Matching:
    """What of a file goes where. Names are the network's, of what is left out the file's.

    source: the file, or its address.
    taken: by the name in the file. left_out: why. fresh: what the file does not give, initialised as without it.
    parameters, of_parameters: numbers taken, and all of the network's.
    """

    file: Path
    source: str
    taken: Mapping[str, str]
    left_out: Mapping[str, str]
    fresh: tuple[str, ...]
    parameters: int
    of_parameters: int

    def __str__(self) -> str:
        lines = [
            f"initial weights from {self.source}: {self.parameters:,} of {self.of_parameters:,} parameters, "
            f"{len(self.taken)} tensors"
        ]
        lines += [f"  left out: {name}, {why}" for name, why in self.left_out.items()]
        lines += [f"  fresh: {', '.join(self.fresh)}"] if self.fresh else []
        return "\n".join(lines)


def match_weights(place: str | Path, model: Model, info: DatasetInfo) -> Matching:
    """Returns what a network would take from a file, or from the folder of a checkpoint or exported model.

    Stem and head may differ, since they depend on the images and the classes; nothing else may.
    place: also an address of either.

    Raises:
        CheckpointError: the file is not there, holds more than tensors, or is of another network.
        StorageError: the address cannot be read.
    """
    here = copy_here(str(place))
    try:
        found = _match(_file(here), model, info)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(here), str(place))) from error
    return replace(found, source=found.source.replace(str(here), str(place)))


def _match(file: Path, model: Model, info: DatasetInfo) -> Matching:
    theirs = _shapes((file, file.stat().st_mtime_ns))
    network = on_meta(model, info)
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    parameters = {name: tensor.numel() for name, tensor in network.named_parameters()}
    given = {model.own_name(PREFIXES.sub("", name)): name for name in theirs}
    taken = {own: name for own, name in given.items() if ours.get(own) == theirs[name]}
    left_out = {name: _why(theirs[name], ours.get(own)) for own, name in given.items() if own not in taken}
    fresh = [name for name in ours if name not in taken and not name.endswith(COUNTER)]
    wrong = [
        *(f"{name} {why}" for name, why in left_out.items() if not _may_differ(model, given, name)),
        *(f"{name} is missing" for name in fresh if name not in given and not model.may_be_fresh(name)),
    ]
    if wrong or not taken:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise CheckpointError(
            f"{file} is of another network than {model.name} with these options: {'; '.join(wrong[:SHOWN])}{more}; "
            f"only what depends on images and classes may differ ({', '.join(model.may_differ)})"
        )
    counts = sum(parameters.get(name, 0) for name in taken), sum(parameters.values())
    return Matching(file, str(file), taken, left_out, tuple(fresh), *counts)


@torch.no_grad()
def load_weights(network: nn.Module, matching: Matching) -> None:
    """Copies into the network what matches; what it learns about its own weights from them is derived anew."""
    theirs, ours = read_weights(matching.file), network.state_dict()
    for own, name in matching.taken.items():
        ours[own].copy_(theirs[name])
    for name, module in network.named_modules():
        if isinstance(module, TtqConvolution) and f"{name}.positive_scale" in matching.fresh:
            module.reset_scales()


def read_weights(file: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file or of torch.save, on the CPU.

    Raises:
        CheckpointError: it is not there, is neither, or holds more than tensors and plain values.
    """
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{file} is not there") from None
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file} is not a safetensors file: {error}") from None
    # torch raises many kinds of error on files that are not its own: RuntimeError, EOFError, KeyError, ...
    except Exception as error:
        objects = re.findall(r"GLOBAL ([\w.]+)", str(error)) if isinstance(error, pickle.UnpicklingError) else []
        if not objects:
            raise CheckpointError(f"{file} is not a file of weights that torch.load or safetensors reads") from None
        raise CheckpointError(
            f"{file} holds Python objects ({objects[0]}), not tensors alone; it is not loaded, since that would run "
            f"code from the file. Where that code is at hand and trusted: torch.save(model.state_dict(), FILE)"
        ) from None
    return _state_dict(content, file)


def _state_dict(content: Any, file: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(one, Tensor) for one in content.values()) or not content:
        keys = f" ({', '.join(map(str, content))})"[:80] if isinstance(content, Mapping) else ""
        raise CheckpointError(
            f"{file} holds no state dict: a record of tensors by name, or one of these under "
            f"{', '.join(WRAPPERS)}; it has {type(content).__name__}{keys}"
        )
    return {str(name): tensor for name, tensor in content.items()}


def _file(path: Path) -> Path:
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{file} is not there")
    return file


@lru_cache(maxsize=8)
def _shapes(written: tuple[Path, int]) -> dict[str, Shape]:
    """Returns the shapes by name of a file as of a time; a sweep asks for one file at each of its corners."""
    return {name: tuple(tensor.shape) for name, tensor in read_weights(written[0]).items()}


def _why(theirs: Shape, ours: Shape | None) -> str:
    return f"{list(theirs)} there, " + (f"{list(ours)} here" if ours is not None else "nothing of that name here")


def _may_differ(model: Model, given: Mapping[str, str], name: str) -> bool:
    own = next(own for own, one in given.items() if one == name)
    return own.startswith(model.may_differ) or own.endswith(COUNTER)
