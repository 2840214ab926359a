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
    return sum(parameter.numel() for parameter in _on_meta(model, info).parameters())


def count_trainable_parameters(model: Model, info: DatasetInfo) -> int:
    """Returns the number of parameters that an optimizer changes."""
    return sum(parameter.numel() for parameter in _on_meta(model, info).parameters() if parameter.requires_grad)


def count_flops(model: Model, info: DatasetInfo) -> int:
    """Returns the floating-point operations of one image's forward pass; with the backward pass thrice as many.

    A multiply-add counts two. Convolutions and matrix products count, BatchNorm, activations and sums do not.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = _on_meta(model, info).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(_images(1, info))
    return int(counter.get_total_flops())


def count_activation_bytes(model: Model, info: DatasetInfo, dtype: torch.dtype) -> int:
    """Returns the bytes of activations of `dtype` that one image keeps for the backward pass, uncompiled."""
    network = _on_meta(model, info).to(dtype)
    return (_saved_bytes(network, _images(4, info, dtype)) - _saved_bytes(network, _images(2, info, dtype))) // 2


def _saved_bytes(network: nn.Module, images: Tensor) -> int:
    """Returns the bytes of all distinct storages that autograd keeps of a forward pass."""
    storages = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images)
    return sum(storage.nbytes() for storage in storages.values())


def _on_meta(model: Model, info: DatasetInfo) -> nn.Module:
    with torch.device("meta"):
        return model.build(info)


def _images(count: int, info: DatasetInfo, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(count, info.channels, info.resolution, info.resolution, device="meta", dtype=dtype)
