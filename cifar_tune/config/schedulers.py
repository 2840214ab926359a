"""The schedulers that a sweep may name; `tuning` builds them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cifar_tune.schema import Count, Strict


def default_grace(epochs: int) -> int:
    """Returns the first rung of a sweep that does not say: a tenth of its epochs."""
    return max(1, epochs // 10)


class Asha(Strict):
    """Asynchronous successive halving, stopping variant. Source: Li et al. 2020 (arXiv:1810.05934)."""

    name: Literal["asha"] = "asha"
    grace_epochs: Count = 1
    """First rung: no trial is stopped before it. A sweep that does not say takes a tenth of its epochs."""
    reduction_factor: Annotated[int, Field(ge=2)] = 3


class NoScheduler(Strict):
    """Every trial runs to its last epoch."""

    name: Literal["none"] = "none"


AnyScheduler = Annotated[Asha | NoScheduler, Field(discriminator="name")]
