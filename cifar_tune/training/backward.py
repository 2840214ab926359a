"""The gradient of one effective batch, whatever the number of parts that it is computed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cifar_tune.training.batch import Batch
from cifar_tune.training.losses.loss import LossFunction
from cifar_tune.training.state import TrainingState


@dataclass(frozen=True)
class Outcome:
    """Of one batch, on the device.

    loss: () mean in nats. correct: () number of right answers, mixed labels counting by their weight.
    """

    loss: Tensor
    correct: Tensor


@dataclass(frozen=True)
class BackwardPass:
    """Computes gradients; knows nothing of what is then done with them."""

    state: TrainingState
    loss: LossFunction
    accumulation: int = 1

    def __call__(self, images: Tensor, batch: Batch) -> Outcome:
        """Sets every parameter's gradient to that of the mean loss over the batch, times the scaler's scale.

        The parts are equal, so that the mean of their means is the mean of the whole. BatchNorm alone tells the
        difference: it normalises by the statistics of a part, and moves its running ones once a part.
        images: (N, C, H, W), normalised.
        """
        for parameter in self.state.model.parameters():
            parameter.grad = None
        outcomes = [self._part(images, batch) for images, batch in _parts(images, batch, self.accumulation)]
        if self.accumulation == 1:
            return outcomes[0]
        loss, correct = outcomes[0].loss, outcomes[0].correct
        for outcome in outcomes[1:]:
            loss, correct = loss + outcome.loss, correct + outcome.correct
        return Outcome(loss / self.accumulation, correct)

    def _part(self, images: Tensor, batch: Batch) -> Outcome:
        state = self.state
        with state.arithmetic.casting(state.device):
            loss, logits = self.loss(state.model, images, batch)
        share = loss if self.accumulation == 1 else loss / self.accumulation
        torch.autograd.backward(share if state.scaler is None else state.scaler.scale(share))
        right = logits.detach().argmax(1, keepdim=True) == batch.labels
        return Outcome(loss.detach(), (right * batch.weights).sum())


def _parts(images: Tensor, batch: Batch, count: int) -> Iterator[tuple[Tensor, Batch]]:
    if count == 1:
        yield images, batch
        return
    size = len(images) // count
    columns = images, batch.images, batch.labels, batch.weights, batch.positions
    for part, raw, labels, weights, positions in zip(*(torch.split(column, size) for column in columns), strict=True):
        yield part, replace(batch, images=raw, labels=labels, weights=weights, positions=positions)
