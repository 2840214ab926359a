"""The gradient of one effective batch, whatever the number of parts that it is computed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar_tune.training.batch import Batch
from cifar_tune.training.batch_norm import running_statistics
from cifar_tune.training.losses.loss import LossFunction
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup
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
    """Computes gradients; knows nothing of what is then done with them.

    accumulation: parts of a batch that are computed one after the other. share: of the effective batch, what this
    process gets to see; `ranks` compute the others at the same time.
    """

    state: TrainingState
    loss: LossFunction
    accumulation: int = 1
    ranks: ProcessGroup = SINGLE_PROCESS
    share: float = 1.0

    def __call__(self, images: Tensor, batch: Batch) -> Outcome:
        """Sets every parameter's gradient to that of the mean loss over the batch, times the scaler's scale.

        BatchNorm alone tells parts from a whole: it normalises by the statistics of a part, unless by those of groups
        that parts leave whole. Its running statistics move once, to the mean of where the parts would have moved them.
        images: (N, C, H, W), normalised.
        """
        for parameter in self.state.model.parameters():
            parameter.grad = None
        if self.accumulation == 1:
            return self._part(images, batch, 1.0)
        standing = running_statistics(self.state.model)
        before, moved = ([tensor.clone() for tensor in standing] for _ in range(2))
        loss, correct = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
        for done, rows in enumerate(_rows(len(images), self.accumulation)):
            weight = (rows.stop - rows.start) / len(images)
            if standing:
                torch._foreach_copy_(standing, before)
            with nullcontext() if done == self.accumulation - 1 else self._apart():
                outcome = self._part(images[rows], batch.part(rows), weight)
            loss, correct = loss + outcome.loss * weight, correct + outcome.correct
            if standing:
                torch._foreach_lerp_(moved, standing, (rows.stop - rows.start) / rows.stop)
        if standing:
            torch._foreach_copy_(standing, moved)
        return Outcome(loss, correct)

    @cached_property
    def _network(self) -> nn.Module:
        return self.ranks.synchronised(self.state.model)

    def _part(self, images: Tensor, batch: Batch, weight: float) -> Outcome:
        state = self.state
        with state.arithmetic.autocast_context(state.device):
            loss, logits = self.loss(self._network, images, batch)
        weight *= self.share * self.ranks.size
        weighted = loss if weight == 1 else loss * weight
        torch.autograd.backward(weighted if state.scaler is None else state.scaler.scale(weighted))
        right = logits.detach().argmax(1, keepdim=True) == batch.labels
        return Outcome(loss.detach(), (right * batch.weights).sum())

    def _apart(self) -> AbstractContextManager[object]:
        """Returns the context in which gradients stay with this process, for more are to be added to them."""
        network = self._network
        return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()


def _rows(count: int, parts: int) -> Iterator[slice]:
    for number in range(parts):
        yield slice(number * count // parts, (number + 1) * count // parts)
