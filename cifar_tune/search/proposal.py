"""What the search wants trained next, and what it keeps of a trial that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Generic

from cifar_tune.config.rendering import flatten
from cifar_tune.results.columns import RUNNING
from cifar_tune.search.source import Record, TrialT
from cifar_tune.search.studies.points import Point
from cifar_tune.training.reproducibility import ComputeEnvironment

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
class ProposalRecord:
    """A proposal as the store keeps it; what is left out is as here.

    point: None outside the search space. values: by path into the trial. seed: None where it was refused, with the
    reason. measured: what constraints limit, by column. restart_of: the trial that is trained anew.
    """

    study: str
    point: Point | None
    values: Mapping[str, Any]
    seed: int | None
    baseline: bool = False
    measured: Mapping[str, float] = field(default_factory=dict)
    refused: str = ""
    parent: Parent | None = None
    restart_of: str | None = None

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> ProposalRecord:
        """Returns the note of a store's payload."""
        known = {name: payload[name] for name in (one.name for one in fields(cls)) if name in payload}
        answers, parent = payload["answers"], payload.get("parent")
        known["point"] = None if answers is None else Point(answers, payload["attributes"] or {})
        return cls(**known | {"parent": None if parent is None else Parent(**parent)})

    def payload(self) -> dict[str, Any]:
        """Returns what the store keeps."""
        point = self.point
        kept = {
            "study": self.study,
            "answers": None if point is None else dict(point.answers),
            "attributes": None if point is None else dict(point.attributes) or None,
            "values": self.values,
            "seed": self.seed,
            "baseline": self.baseline,
        }
        told = {
            "measured": self.measured,
            "refused": self.refused,
            "parent": self.parent and asdict(self.parent),
            "restart_of": self.restart_of,
        }
        return kept | {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class Proposal(Generic[TrialT]):
    """One trial to start, or to continue from its last checkpoint.

    trial_id: `t0001` is the first of the sweep. study: the grid cell, `model.activation=relu`, or `all` without a grid.
    baseline: the sweep file's own `trial`, which every study runs first.
    parent: None where it begins with fresh weights. restart_of: the trial that it trains anew, with more epochs.
    environment: to compute in where it can be had; None where any will do.
    """

    trial_id: str
    study: str
    trial: TrialT
    baseline: bool
    parent: Parent | None = None
    restart_of: str | None = None
    environment: ComputeEnvironment | None = None


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


def make_row(store: Record, proposal: Proposal[TrialT], restarts: int) -> None:
    """Writes down a new trial. restarts: of the sweep so far."""
    store.update_trial(
        proposal.trial_id,
        configuration=flatten(proposal.trial),
        study=proposal.study,
        seed=proposal.trial.seed,
        baseline=proposal.baseline,
        parent=None if proposal.parent is None else proposal.parent.trial_id,
        restart_of=proposal.restart_of,
        restarts=restarts,
        status=RUNNING,
        audited=False,
    )
