"""BatchNorm whose statistics are those of more images than one forward pass of one process sees.

N images of this process, C channels, H W size.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Returns the running means and variances that a forward pass in training would move."""
    moving = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    return [tensor for module in moving for tensor in (module.running_mean, module.running_var) if tensor is not None]


def share_statistics(model: nn.Module) -> None:
    """Lets every BatchNorm of the model normalise by the images of all processes."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm2d(child))


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the images of all processes, on any device; torch's own SyncBatchNorm is for GPUs alone."""

    def __init__(self, own: nn.BatchNorm2d) -> None:
        super().__init__(own.num_features, own.eps, own.momentum)
        self.load_state_dict(own.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, C, H, W) in the type of `x`; statistics are float32. Variances add up about the common mean."""
        if not self.training:
            return super().forward(x)
        assert self.momentum is not None, "a mean over all steps is no moving average"
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
