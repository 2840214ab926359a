"""What the search wants trained next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from cifar_tune.tuning.source import TrialT


@dataclass(frozen=True)
class Proposal(Generic[TrialT]):
    """One trial to start, or to continue from its last checkpoint.

    trial_id: `t0001` is the first of the sweep. study: the grid cell, `model.activation=relu`, or `all` without a grid.
    baseline: the sweep file's own `trial`, which every study runs first.
    """

    trial_id: str
    study: str
    trial: TrialT
    baseline: bool
