"""How large a trial's checkpoints will be, counted before it trains."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.flops import on_meta
from cifar_tune.training.memory import optimizer_tensors
from cifar_tune.training.models import AnyModel
from cifar_tune.training.trial import TrialConfig

TENSOR_RECORD = 280
"""Bytes that torch.save takes for each tensor beside its data: 260 to 300 measured, by the length of its name."""

EPOCH_RECORD = 420
"""Bytes of an epoch in a manifest: 380 to 430 measured."""


@dataclass(frozen=True)
class CheckpointSize:
    """Bytes of a checkpoint. weights: to use it. training: what training needs beside, to go on from it."""

    weights: float
    training: float

    @property
    def whole(self) -> float:
        """Of a checkpoint that training can go on from."""
        return self.weights + self.training


def checkpoint_size(trial: TrialConfig, info: DatasetInfo) -> CheckpointSize:
    """Returns the size after the trial's last epoch."""
    tensors, data, header = _weights(trial.model, info)
    text = len(trial.model_dump_json(indent=2)) + EPOCH_RECORD * trial.epochs
    state = optimizer_tensors(trial, info)
    copies = 0 if trial.ema is None else 1
    stored = len(state) + copies * tensors
    return CheckpointSize(data + header + text, sum(state) + copies * data + TENSOR_RECORD * stored)


@lru_cache(maxsize=256)
def _weights(model: AnyModel, info: DatasetInfo) -> tuple[int, int, int]:
    """Returns the number of tensors, their bytes, and those of the header that safetensors puts before them."""
    state = on_meta(model, info).state_dict()
    offsets = [10**7, 10**7]
    header = {name: {"dtype": "F32", "shape": [*one.shape], "data_offsets": offsets} for name, one in state.items()}
    return len(state), sum(one.nbytes for one in state.values()), len(json.dumps(header, separators=(",", ":")))
