"""The loss around a network's weights, along random directions that are scaled filter by filter.

Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets (arXiv:1712.09913).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor, nn
from torch.nn import functional as F

Direction = Mapping[str, Tensor]
"""By name of parameter, a step of its shape."""

RHO = 0.05
"""Length of the step of SAM's sharpness. Source: Foret et al. 2021 (arXiv:2010.01412, sec. 3.1): 0.05 throughout."""
MOST_PRODUCTS = 15
"""Of the Hessian with a vector."""
PASSES_OF_A_PRODUCT = 15
"""That take as long as one of them: 13 to 17 for ResNet-18 and MiniNet on a CPU."""
PASSES_TIMED = 4
TOLERANCE = 1e-3
"""Of the eigenvalue, relative, between two products."""


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


def passes_needed(points: int) -> int:
    """Returns how many forward passes over the images the landscapes of both networks take at most."""
    return 2 * (points + points**2 + MOST_PRODUCTS * PASSES_OF_A_PRODUCT)


def seconds_of_a_pass(model: nn.Module, images: FixedImages) -> float:
    """Returns how long the loss takes, at its fastest: the first pass chooses kernels, others may be disturbed."""
    seconds = []
    for _ in range(PASSES_TIMED):
        started = time.perf_counter()
        images.loss(model)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


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
    model: nn.Module,
    images: FixedImages,
    direction: Direction,
    places: NDArray[np.float64],
    done: Callable[[int], None],
) -> NDArray[np.float64]:
    """Returns the loss at each place along the direction; 0 is the model itself, which is as before afterwards.

    BatchNorm's statistics stay those of the model: they are part of what it is at the origin, and recomputed for each
    place they would undo much of the step. done: takes how many passes were made since.
    """
    return losses_on_plane(model, images, (direction, {}), places, np.zeros(1), done).ravel()


def losses_on_plane(
    model: nn.Module,
    images: FixedImages,
    directions: tuple[Direction, Direction],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
    done: Callable[[int], None],
) -> NDArray[np.float64]:
    """Returns (len(down), len(across)) losses on the plane of both directions; see `losses_on_line`."""
    losses = np.empty((len(down), len(across)))
    with unchanged(model) as origin:
        for row, column in np.ndindex(losses.shape):
            steps = ((float(across[column]), directions[0]), (float(down[row]), directions[1]))
            move(model, origin, steps)
            losses[row, column] = images.loss(model)
            done(1)
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


def largest_curvature(
    model: nn.Module, images: FixedImages, seed: int = 0, done: Callable[[int], None] = lambda _: None
) -> float:
    """Returns the eigenvalue of the loss's Hessian that is largest in magnitude, by the method of Lanczos.

    The vectors are not made orthogonal again: that brings back eigenvalues that are found already, and is no harm to
    the largest. done: as of `losses_on_line`. Source: Lanczos 1950; Golub and Van Loan, Matrix Computations, 10.1.
    """
    _, parameters = _trained(model)
    generator = torch.Generator().manual_seed(seed)
    before = [torch.zeros_like(one) for one in parameters]
    vector = _unit([torch.randn(one.shape, generator=generator).to(one) for one in parameters])
    diagonal: list[float] = []
    beside: list[float] = []
    value = 0.0
    for _ in range(MOST_PRODUCTS):
        product = _hessian_product(images, model, parameters, vector)
        diagonal.append(_inner(product, vector))
        found = float(max(eigvalsh_tridiagonal(diagonal, beside), key=abs)) if np.isfinite(diagonal[-1]) else np.nan
        done(PASSES_OF_A_PRODUCT)
        last, value = value, found
        rest = [
            one - diagonal[-1] * along - (beside[-1] if beside else 0.0) * other
            for one, along, other in zip(product, vector, before, strict=True)
        ]
        beside.append(_inner(rest, rest) ** 0.5)
        if not abs(value - last) > TOLERANCE * abs(value) or beside[-1] == 0:
            break
        before, vector = vector, _unit(rest)
    done((MOST_PRODUCTS - len(diagonal)) * PASSES_OF_A_PRODUCT)
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


def _inner(first: list[Tensor], second: list[Tensor]) -> float:
    return float(sum((one * other).sum() for one, other in zip(first, second, strict=True)))


def _unit(vector: list[Tensor]) -> list[Tensor]:
    norm = _inner(vector, vector) ** 0.5
    return [one / norm for one in vector] if norm else vector
