"""The device memory that a trial needs, counted before it trains, on torch's meta device: shapes without data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.flops import meta_images, on_meta
from cifar_tune.training.lazy import torch
from cifar_tune.training.models import AnyModel, Model
from cifar_tune.training.optimizers import AnyOptimizer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from cifar_tune.training.precision_rule import PrecisionName
    from cifar_tune.training.trial import TrialConfig

HALF: tuple[PrecisionName, ...] = ("bfloat16", "float16")
"""Precisions in which activations and the weights' copies for products take two bytes."""

INPUT_COPIES = 3
"""Of a batch's images in float32, beside the bytes drawn: augmented, normalised, and one on the way."""

SAM_COPIES = 2
"""Of the weights: those to go back to, and the step of the climb."""

NOT_OF_THE_STATE = {"lr": 1.0, "weight_decay": 0.0}
"""What an optimizer's state does not depend on, so that trials that differ by it alone are counted once."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes of a trial's tensors at their peak, but for the images of its data set.

    fixed: whatever the batch: weights, gradients, optimizer, moving average. micro_batch: of the activations kept for
    the backward pass. batch: of the images of one effective batch. dataset: of all images, as bytes.
    """

    fixed: int
    micro_batch: int
    batch: int
    dataset: int

    @property
    def tensors(self) -> int:
        """Without the data set."""
        return self.fixed + self.micro_batch + self.batch


def predicted_bytes(trial: TrialConfig, info: DatasetInfo, precision: PrecisionName = "float32") -> int:
    """Returns the most memory that the trial's tensors take at once, its data set aside.

    precision: what the trial's own comes to on the device, never `auto`.
    """
    return memory_need(trial, info, precision).tensors


def memory_need(trial: TrialConfig, info: DatasetInfo, precision: PrecisionName = "float32") -> MemoryNeed:
    """Returns what the trial needs on a device that computes in `precision`."""
    half = precision in HALF
    network = _network_bytes(trial.model, info, half, trial.recompute)
    copies = 2 + (trial.ema is not None) + (0 if trial.sam is None else SAM_COPIES)
    fixed = network.weights * copies
    fixed += sum(optimizer_tensors(trial, info))
    pixels = info.channels * info.resolution**2
    return MemoryNeed(
        fixed=fixed,
        micro_batch=network.kept + network.kept_by_image * trial.micro_batch_size,
        batch=trial.batch_size * pixels * (1 + 4 * INPUT_COPIES),
        dataset=info.train_images * pixels,
    )


def optimizer_tensors(trial: TrialConfig, info: DatasetInfo) -> tuple[int, ...]:
    """Returns the bytes of each tensor that the trial's optimizer gathers of its parameters."""
    return _optimizer_tensors(trial.model, trial.optimizer.model_copy(update=NOT_OF_THE_STATE), info)


def count_activation_bytes(model: Model, info: DatasetInfo, dtype: torch.dtype) -> int:
    """Returns the bytes of activations of `dtype` that one image keeps for the backward pass, uncompiled."""
    network = on_meta(model, info).to(dtype)
    return (
        _saved_bytes(network, meta_images(4, info, dtype)) - _saved_bytes(network, meta_images(2, info, dtype))
    ) // 2


@dataclass(frozen=True)
class _NetworkBytes:
    """weights: parameters and buffers; autocast's copies of them go, layer by layer, as the gradients come.

    kept: for the backward pass, whatever the batch, weights aside. kept_by_image: for each image.
    """

    weights: int
    kept: int
    kept_by_image: int


@lru_cache(maxsize=256)
def _network_bytes(model: AnyModel, info: DatasetInfo, half: bool, recompute: bool) -> _NetworkBytes:
    weights = _bytes((network := on_meta(model, info)).state_dict().values())
    dtype = torch.bfloat16 if half else torch.float32
    network = network.to(dtype)
    kept = _kept_bytes if recompute else _saved_bytes
    two, four = (kept(network, meta_images(count, info, dtype)) for count in (2, 4))
    by_image = (four - two) // 2
    return _NetworkBytes(weights, two - 2 * by_image, by_image)


@lru_cache(maxsize=256)
def _optimizer_tensors(model: AnyModel, optimizer: AnyOptimizer, info: DatasetInfo) -> tuple[int, ...]:
    """The optimizer's state, found by letting it take one step on tensors without data, which fused kernels accept."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        network = model.build(info)
        rule = optimizer.build(network, model.output_layers)
        for parameter in network.parameters():
            parameter.grad = torch.empty_like(parameter)
        rule.step()
    values = (value for state in rule.state.values() for value in state.values())
    return tuple(value.nbytes for value in values if isinstance(value, torch.Tensor))


def _kept_bytes(network: nn.Module, images: Tensor) -> int:
    """Returns what is kept where blocks are recomputed, at the worst moment: their inputs and the insides of one."""
    from cifar_tune.training.networks.recomputable import Recomputable

    blocks = [module for module in network.modules() if isinstance(module, Recomputable)]
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [block.register_forward_pre_hook(lambda block, given: inputs.update({block: given[0]})) for block in blocks]
    whole = _saved_bytes(network, images)
    for hook in hooks:
        hook.remove()
    insides = [_saved_bytes(block, inputs[block].detach().requires_grad_()) for block in blocks]
    given = {tensor.untyped_storage()._cdata: tensor.nbytes for tensor in inputs.values()}
    return whole - sum(insides) + sum(given.values()) + max(insides, default=0)


def _saved_bytes(network: nn.Module, images: Tensor) -> int:
    """Returns the bytes of all distinct storages that autograd keeps of a forward pass, those of the weights aside."""
    weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    storages = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images)
    return sum(storage.nbytes() for storage in storages.values())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
