"""The schedule's setting, applied to an optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_tune.training.schedules.schedule import Setting

if TYPE_CHECKING:
    import torch


def apply_setting(optimizer: torch.optim.Optimizer, setting: Setting) -> None:
    """Sets each group's learning rate to `lr_factor` times its peak, and its momentum (or beta1) where one is given.

    Groups built with momentum 0 keep it: they have none to cycle.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * setting.lr_factor
        if setting.momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (setting.momentum, group["betas"][1])
        elif group["momentum"] > 0:
            group["momentum"] = setting.momentum
