"""Blocks that keep their input alone for the backward pass, and compute their insides again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class Recomputable(nn.Module):
    """A block that can. recomputes: whether it does, in training."""

    recomputes = False

    @abstractmethod
    def compute(self, x: Tensor) -> Tensor:
        """Returns what the block makes of its input."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.recomputes and self.training and torch.is_grad_enabled()):
            return self.compute(x)
        found: Tensor = checkpoint(self.compute, x, use_reentrant=False, context_fn=self._contexts)
        return found

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), spared_statistics(self)


def recompute_blocks(model: nn.Module) -> None:
    """Lets every block of the model compute its insides again; dropout draws alike both times."""
    for module in model.modules():
        if isinstance(module, Recomputable):
            module.recomputes = True


@contextmanager
def spared_statistics(model: nn.Module) -> Iterator[None]:
    """Lets a second pass move copies of BatchNorm's running statistics, which the first has moved already."""
    modules = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    own = [dict(module._buffers) for module in modules]
    for module in modules:
        module._buffers.update({name: None if one is None else one.clone() for name, one in module._buffers.items()})
    try:
        yield
    finally:
        for module, buffers in zip(modules, own, strict=True):
            module._buffers.update(buffers)
