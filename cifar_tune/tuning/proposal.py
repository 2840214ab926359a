"""What the search wants trained next, and what it keeps of a trial that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from cifar_tune.config.rendering import flatten
from cifar_tune.results.columns import RUNNING
from cifar_tune.tuning.source import Record, TrialT

PROPOSED = "proposed"
"""Kind of the store's notes about proposals."""


@dataclass(frozen=True)
class Parent:
    """Whose checkpoint a trial begins from, after which epoch, and which trial it replaces, for what reason."""

    trial_id: str
    epoch: int
    replaces: str
    reason: str


@dataclass(frozen=True)
class Proposal(Generic[TrialT]):
    """One trial to start, or to continue from its last checkpoint.

    trial_id: `t0001` is the first of the sweep. study: the grid cell, `model.activation=relu`, or `all` without a grid.
    baseline: the sweep file's own `trial`, which every study runs first.
    parent: None where it begins with fresh weights.
    """

    trial_id: str
    study: str
    trial: TrialT
    baseline: bool
    parent: Parent | None = None


@dataclass
class Live(Generic[TrialT]):
    """A trial that has not ended. number: in its study. epoch: the last one reported, or its parent's.

    measured: what constraints limit, by column. limit: the constraint that it breaks, in words. paused_at: the epoch of
    the last pause that it went on from, 0 if it never paused.
    """

    proposal: Proposal[TrialT]
    study: int
    number: int
    epoch: int = 0
    measured: Mapping[str, float] = field(default_factory=dict)
    limit: str | None = None
    paused_at: int = 0


def make_row(store: Record, proposal: Proposal[TrialT]) -> None:
    """Writes down a new trial."""
    store.update_trial(
        proposal.trial_id,
        configuration=flatten(proposal.trial),
        study=proposal.study,
        seed=proposal.trial.seed,
        baseline=proposal.baseline,
        parent=None if proposal.parent is None else proposal.parent.trial_id,
        status=RUNNING,
        audited=False,
    )
