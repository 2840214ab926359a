"""What a network costs, counted before it is trained on torch's meta device, where tensors have shapes and no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.lazy import torch
from cifar_tune.training.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor, nn


def count_parameters(model: Model, info: DatasetInfo) -> int:
    """Returns the number of parameters, idle ones included."""
    return sum(parameter.numel() for parameter in on_meta(model, info).parameters())


def count_trainable_parameters(model: Model, info: DatasetInfo) -> int:
    """Returns the number of parameters that an optimizer changes."""
    return sum(parameter.numel() for parameter in on_meta(model, info).parameters() if parameter.requires_grad)


def count_flops(model: Model, info: DatasetInfo) -> int:
    """Returns the floating-point operations of one image's forward pass; with the backward pass thrice as many.

    A multiply-add counts two. Convolutions and matrix products count, BatchNorm, activations and sums do not.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = on_meta(model, info).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(meta_images(1, info))
    return int(counter.get_total_flops())


def on_meta(model: Model, info: DatasetInfo) -> nn.Module:
    """Returns the network as shapes without data."""
    with torch.device("meta"):
        return model.build(info)


def meta_images(count: int, info: DatasetInfo, dtype: torch.dtype | None = None) -> Tensor:
    """Returns images of the data set's shape without data."""
    return torch.empty(count, info.channels, info.resolution, info.resolution, device="meta", dtype=dtype)
