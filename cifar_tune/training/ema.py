"""Exponential moving average of a model."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class MovingAverage:
    """A second model whose weights and BatchNorm statistics trail those of the first; it is for evaluation alone."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        self._averaged = _columns([pair for pair in pairs if pair[0].is_floating_point()])
        self._counters = _columns([pair for pair in pairs if not pair[0].is_floating_point()])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the average towards the model after optimizer step `step`, 1 for the first.

        The decay rises from 2/11: an average over more steps than there were would hold the initial weights.
        Source: tf.train.ExponentialMovingAverage, `num_updates`.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, values = self._averaged
        torch._foreach_lerp_(averages, values, 1 - decay)
        if self._counters[0]:
            torch._foreach_copy_(*self._counters)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*(parameter.detach() for parameter in model.parameters()), *model.buffers()]


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
