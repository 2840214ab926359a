"""The loss around a network's weights, along random directions that are scaled filter by filter.

Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets (arXiv:1712.09913).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Direction = Mapping[str, Tensor]
"""By name of parameter, a step of its shape."""

RHO = 0.05
"""Length of the step of SAM's sharpness. Source: Foret et al. 2021 (arXiv:2010.01412, sec. 3.1): 0.05 throughout."""
POWER_ITERATIONS = 30
TOLERANCE = 1e-3
"""Of the eigenvalue, relative, between two iterations."""


@dataclass(frozen=True)
class FixedImages:
    """Images that every loss is taken over: (N, C, H, W) normalised, and (N,) labels, in batches."""

    batches: Sequence[tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return sum(len(labels) for _, labels in self.batches)

    def loss(self, model: nn.Module) -> float:
        """Returns the mean cross-entropy in nats. The model stays in the mode that it is in."""
        with torch.no_grad():
            return sum(float(part) for part in self.parts(model))

    def parts(self, model: nn.Module) -> Iterator[Tensor]:
        """Yields what each batch adds to the mean cross-entropy, in the graph of gradients."""
        for images, labels in self.batches:
            yield F.cross_entropy(model(images).float(), labels, reduction="sum") / len(self)


def estimate_statistics(model: nn.Module, images: FixedImages) -> None:
    """Sets BatchNorm's means and variances to those over the images; nothing else of the model is in training mode.

    A fresh network has none: they are mean 0 and variance 1, which its activations have not.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for batch, _ in images.batches:
            model(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def filter_norms(tensor: Tensor) -> Tensor:
    """Returns the norm of each filter, in a shape that broadcasts: all that makes one output.

    (O, I, kH, kW) convolutions and (O, I) linear layers have O filters; (S, I, O) linear layers of S experts S * O.
    """
    inputs = (1,) if tensor.ndim == 3 else tuple(range(1, tensor.ndim))
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=inputs, keepdim=True)
    return norms


def random_direction(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """Returns a Gaussian direction of which each filter has the norm of the model's own filter.

    BatchNorm's parameters, biases and other vectors stay where they are, as in the paper's published code
    (`--xignore biasbn`). Source: sec. 4: d_ij <- d_ij / |d_ij| * |theta_ij|.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or not parameter.requires_grad:
            continue
        drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
        found[name] = drawn * filter_norms(parameter.detach()) / filter_norms(drawn)
    return found


def losses_on_line(
    model: nn.Module, images: FixedImages, direction: Direction, places: NDArray[np.float64], done: Callable[[], None]
) -> NDArray[np.float64]:
    """Returns the loss at each place along the direction; 0 is the model itself, which is as before afterwards.

    BatchNorm's statistics stay those of the model: they are part of what it is at the origin, and recomputed for each
    place they would undo much of the step. done: called after each loss.
    """
    return losses_on_plane(model, images, (direction, {}), places, np.zeros(1), done).ravel()


def losses_on_plane(
    model: nn.Module,
    images: FixedImages,
    directions: tuple[Direction, Direction],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
    done: Callable[[], None],
) -> NDArray[np.float64]:
    """Returns (len(down), len(across)) losses on the plane of both directions; see `losses_on_line`."""
    losses = np.empty((len(down), len(across)))
    with unchanged(model) as origin:
        for row, column in np.ndindex(losses.shape):
            steps = ((float(across[column]), directions[0]), (float(down[row]), directions[1]))
            move(model, origin, steps)
            losses[row, column] = images.loss(model)
            done()
    return losses


@torch.no_grad()
def move(model: nn.Module, origin: Direction, steps: Sequence[tuple[float, Direction]]) -> None:
    """Puts the parameters at the origin plus all steps."""
    for name, parameter in model.named_parameters():
        if any(name in direction for _, direction in steps):
            parameter.copy_(origin[name] + sum(far * direction[name] for far, direction in steps if name in direction))


@contextmanager
def unchanged(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Yields a copy of the parameters, which they are set to at the end."""
    origin = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    try:
        yield origin
    finally:
        move(model, origin, [(0.0, origin)])


def sam_sharpness(model: nn.Module, images: FixedImages, rho: float = RHO) -> float:
    """Returns how far the loss rises by the steepest step of length `rho`, to first order.

    Source: Foret et al. 2021 (arXiv:2010.01412, eq. 2).
    """
    names, parameters = _trained(model)
    gradients = _gradients(images, model, parameters)
    before = images.loss(model)
    with unchanged(model) as origin:
        step = dict(zip(names, _unit(gradients), strict=True))
        move(model, origin, [(rho, step)])
        return images.loss(model) - before


def largest_curvature(model: nn.Module, images: FixedImages, seed: int = 0) -> float:
    """Returns the eigenvalue of the loss's Hessian that is largest in magnitude, by power iteration."""
    _, parameters = _trained(model)
    generator = torch.Generator().manual_seed(seed)
    vector = _unit([torch.randn(one.shape, generator=generator).to(one) for one in parameters])
    value = 0.0
    for _ in range(POWER_ITERATIONS):
        product = _hessian_product(images, model, parameters, vector)
        before, value = value, float(sum((one * other).sum() for one, other in zip(product, vector, strict=True)))
        if abs(value - before) <= TOLERANCE * abs(value):
            break
        vector = _unit(product)
    return value


def _trained(model: nn.Module) -> tuple[list[str], list[Tensor]]:
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [name for name, _ in named], [parameter for _, parameter in named]


def _gradients(images: FixedImages, model: nn.Module, parameters: list[Tensor]) -> list[Tensor]:
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for part in images.parts(model):
        for kept, one in zip(total, torch.autograd.grad(part, parameters), strict=True):
            kept += one
    return total


def _hessian_product(
    images: FixedImages, model: nn.Module, parameters: list[Tensor], vector: list[Tensor]
) -> list[Tensor]:
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for part in images.parts(model):
        gradients = torch.autograd.grad(part, parameters, create_graph=True)
        along = torch.stack([(one * other).sum() for one, other in zip(gradients, vector, strict=True)]).sum()
        for kept, one in zip(total, torch.autograd.grad(along, parameters, materialize_grads=True), strict=True):
            kept += one
    return total


def _unit(vector: list[Tensor]) -> list[Tensor]:
    norm = torch.stack([one.square().sum() for one in vector]).sum().sqrt()
    return [one / norm for one in vector] if norm else vector
