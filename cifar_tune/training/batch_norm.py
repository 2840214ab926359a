"""BatchNorm by other images than those of one forward pass: by groups of them, or by those of all processes.

N images of this process, C channels, H W size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Returns the running means and variances that a forward pass in training would move."""
    moving = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    return [tensor for module in moving for tensor in (module.running_mean, module.running_var) if tensor is not None]


def replace_batch_norm(model: nn.Module, make: Callable[[nn.BatchNorm2d], nn.BatchNorm2d]) -> None:
    """Puts what `make` returns in the place of every BatchNorm of the model; names of parameters and buffers stay."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, make(child))


class GhostBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over consecutive groups of images, each by its own statistics.

    Running statistics move once a forward pass, to the mean of where the groups would have moved them: in whatever
    parts a batch is passed, its groups are the same, and so is what they come to (`BackwardPass`).
    Source: Hoffer et al. 2017 (arXiv:1705.08741, algorithm 1), but for the running statistics.
    """

    def __init__(self, own: nn.BatchNorm2d, images: int) -> None:
        super().__init__(own.num_features, own.eps, own.momentum)
        self.load_state_dict(own.state_dict())
        self.images = images

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or len(x) <= self.images:
            return super().forward(x)
        assert self.momentum is not None, "a mean over all steps is not a moving average"
        groups = torch.split(x, self.images)
        running = (self.running_mean, self.running_var) if self.track_running_stats else (None, None)
        normalised = []
        for number, group in enumerate(groups):
            # The last of G groups moves them by m / G, and each before it by as much as leaves all the same weight.
            momentum = self.momentum / (len(groups) - self.momentum * (len(groups) - 1 - number))
            normalised.append(F.batch_norm(group, *running, self.weight, self.bias, True, momentum, self.eps))
        return torch.cat(normalised)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the images of all processes, on any device; torch's own SyncBatchNorm is for GPUs alone."""

    def __init__(self, own: nn.BatchNorm2d) -> None:
        super().__init__(own.num_features, own.eps, own.momentum)
        self.load_state_dict(own.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, C, H, W) in the type of `x`; statistics are float32. Variances add up about the common mean."""
        if not self.training:
            return super().forward(x)
        assert self.momentum is not None, "a mean over all steps is not a moving average"
        values = x.float()
        var, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        images = torch.full_like(mean[:1], len(x))
        weighted = _total(torch.cat((mean * images, images)))
        share = images / weighted[-1]
        common = weighted[:-1] / weighted[-1]
        var = _total((var + (mean - common).square()) * share)
        if self.track_running_stats:
            assert self.running_mean is not None
            assert self.running_var is not None
            pixels = weighted[-1].detach() * x[0, 0].numel()
            with torch.no_grad():
                self.running_mean.lerp_(common, self.momentum)
                self.running_var.lerp_(var * (pixels / (pixels - 1)), self.momentum)
        scaled = (values - _across(common)) * _across((var + self.eps).rsqrt() * self.weight)
        return (scaled + _across(self.bias)).to(x.dtype)


def _across(values: Tensor) -> Tensor:
    return values[:, None, None]


def _total(values: Tensor) -> Tensor:
    total: Tensor = _Total.apply(values)
    return total


class _Total(torch.autograd.Function):
    """The sum over all processes; the gradient of a process's summand is the sum of all processes' gradients of it."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
