"""The layers of a network by name, and what they give. N images, C channels, H x W."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cifar_tune.errors import InspectionError
from cifar_tune.training.networks.resnet import Trunk
from cifar_tune.training.networks.ternary import TernaryConvolution

PART_OF_BEFORE = (nn.modules.batchnorm._BatchNorm, nn.PReLU)
"""Layers with parameters that count with the layer before them."""

SMALLEST_MAP = 4
"""Pixels; on a smaller map there is no telling where a network looks."""


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Returns every convolution by its name, in order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Returns the layer of that name. Raises InspectionError, which lists them, where there is none."""
    there: dict[str, nn.Module] = dict(model.named_modules())
    if name and name in there:
        return there[name]
    names = [one for one in there if one]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean `{near[0]}`?)" if near else ""
    raise InspectionError(f"there is no layer `{name}`{hint}; the layers are {', '.join(names)}")


def find_convolution(model: nn.Module, name: str) -> nn.Conv2d:
    """Returns the convolution of that name. Raises InspectionError, which lists them, where there is none."""
    found = find_layer(model, name)
    if not isinstance(found, nn.Conv2d):
        there = ", ".join(convolutions(model))
        raise InspectionError(
            f"layer `{name}` is not a convolution, so it has no filters; the convolutions are {there}"
        )
    return found


def filters_of(convolution: nn.Conv2d) -> Tensor:
    """Returns the (O, I, kH, kW) weights that it computes with, on the CPU; of a ternary one the three values."""
    weight = convolution.ternary_weight() if isinstance(convolution, TernaryConvolution) else convolution.weight
    return weight.detach().float().cpu()


@contextmanager
def captured(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Yields what is filled, by name, with the outputs of these layers while the model runs; in the graph of gradients.

    What follows gets a copy, since activations and sums in place would change what was captured.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        found[name] = output
        return output.clone()

    with ExitStack() as hooks:
        for name in names:
            hooks.callback(find_layer(model, name).register_forward_hook(partial(keep, name)).remove)
        yield found


@torch.inference_mode()
def map_sizes(model: nn.Module, images: Tensor) -> dict[str, tuple[int, int]]:
    """Returns height and width of every layer's output that is a map, by name, in the order of computation."""
    found: dict[str, tuple[int, int]] = {}

    def note(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and name:
            found[name] = (output.shape[2], output.shape[3])

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_hook(partial(note, name)).remove)
        model(images[:1])
    return found


def last_map(sizes: dict[str, tuple[int, int]]) -> str:
    """Returns the last layer whose map can still tell places apart: where Grad-CAM looks.

    Source: Selvaraju et al. 2017 (arXiv:1610.02391, sec. 3): the last convolutional layers have the best compromise of
    meaning and detail. Of 8 px images they leave a single pixel, so an earlier layer is taken.
    """
    fit = [name for name, size in sizes.items() if min(size) >= SMALLEST_MAP]
    return fit[-1] if fit else max(sizes, key=lambda name: min(sizes[name]))


def steps_of(model: nn.Module, sizes: dict[str, tuple[int, int]]) -> list[str]:
    """Returns the layers that make up the network one after the other: stem, then block by block.

    A block is not taken apart, a row of blocks is; BatchNorm and activations count with what is before them.
    """
    return [name for name in _steps(model, "") if name in sizes]


def _steps(module: nn.Module, prefix: str) -> Iterator[str]:
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        if isinstance(child, nn.Sequential | Trunk):
            yield from _steps(child, f"{full}.")
        elif next(child.parameters(), None) is not None and not isinstance(child, PART_OF_BEFORE):
            yield full
