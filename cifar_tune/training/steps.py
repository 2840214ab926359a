"""One optimizer step: plain, or sharpness-aware. Both leave host and device unsynchronised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from cifar_tune.training.backward import BackwardPass, Outcome
from cifar_tune.training.batch import Batch
from cifar_tune.training.randomness import global_state, set_global_state
from cifar_tune.training.state import TrainingState
from cifar_tune.training.trial import Clip, Sam

SMALLEST_NORM = 1e-12
"""Keeps a zero gradient from being divided by. Source: the authors' code, google-research/sam."""


def sgd_step(state: TrainingState, backward: BackwardPass, images: Tensor, batch: Batch, clip: Clip | None) -> Outcome:
    """Moves the weights against the gradient of the batch."""
    outcome = backward(images, batch)
    _descend(state, clip)
    return outcome


def sam_step(
    state: TrainingState, backward: BackwardPass, images: Tensor, batch: Batch, clip: Clip | None, sam: Sam
) -> Outcome:
    """Moves the weights against the gradient at the worst point nearby; the outcome is that of the first pass.

    Both passes see the same images, mixed labels and dropout masks; BatchNorm's running statistics move in the first.
    Under a loss scaler the first gradient stays scaled, for only its direction counts, and the second is unscaled once.
    Where either overflows the scaler skips the step.

    Source: Foret et al. 2021 (arXiv:2010.01412, algorithm 1).
    """
    draws = global_state(state.device)
    outcome = backward(images, batch)
    parameters: list[Tensor] = [parameter for parameter in state.model.parameters() if parameter.grad is not None]
    weights = _climb(parameters, sam)
    set_global_state(draws, state.device)
    with frozen_statistics(state.model):
        backward(images, batch)
    with torch.no_grad():
        torch._foreach_copy_(parameters, weights)
    _descend(state, clip)
    return outcome


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Lets BatchNorm normalise by the batch as in training, and leave its running statistics alone."""
    tracking = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True


@torch.no_grad()
def _climb(parameters: list[Tensor], sam: Sam) -> list[Tensor]:
    """Adds the perturbation of norm rho to the parameters and returns what they were before.

    rho g / |g| (Foret et al. 2021, eq. 2); adaptive: rho w^2 g / |w g| (Kwon et al. 2021, arXiv:2102.11600, eq. 8).
    """
    weights = [parameter.clone() for parameter in parameters]
    steepest = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if sam.adaptive:
        sizes = torch._foreach_abs(weights)
        norm = _norm(torch._foreach_mul(steepest, sizes))
        steepest = list(torch._foreach_mul(torch._foreach_mul(steepest, sizes), sizes))
    else:
        norm = _norm(steepest)
    torch._foreach_add_(parameters, torch._foreach_mul(steepest, sam.rho / (norm + SMALLEST_NORM)))
    return weights


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))
    return norm


def _descend(state: TrainingState, clip: Clip | None) -> None:
    """Clips the gradients and lets the optimizer use them, unless they overflowed."""
    optimizer, scaler = state.optimizer, state.scaler
    if clip is not None:
        if scaler is not None:
            scaler.unscale_(optimizer)
        if clip.norm is not None:
            clip_grad_norm_(state.model.parameters(), clip.norm)
        elif clip.value is not None:
            clip_grad_value_(state.model.parameters(), clip.value)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
