"""What becomes of a trial after an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Decision:
    """Whether a trial goes on, and the comparison that decided it.

    rung: the rung's epoch; None between rungs. rung_size: trials recorded there so far, this one included.
    rung_rank: place among them, 1 for the best. rung_cutoff: value needed to go on; None while the rung has too few,
    and with several objectives. bracket: the group of trials that is compared there; None where all are.
    rung_front: with several objectives, which front the trial is on; 1 is non-dominated.
    limit: the constraint that the trial breaks, in words; then there is no rung. paused: a stop that may end.
    """

    action: Literal["continue", "stop"]
    rung: int | None = None
    rung_size: int | None = None
    rung_rank: int | None = None
    rung_cutoff: float | None = None
    bracket: int | None = None
    rung_front: int | None = None
    limit: str | None = None
    paused: bool = False

    @property
    def reason(self) -> str | None:
        """Why a trial was stopped; None for one that goes on."""
        if self.action == "continue":
            return None
        if self.limit is not None:
            return self.limit
        group = "" if self.bracket is None else f" in bracket {self.bracket}"
        place = f"place {self.rung_rank} of {self.rung_size} at epoch {self.rung}{group}"
        if self.rung_front is not None:
            return f"{place}, on front {self.rung_front} of the objectives"
        cutoff = "" if self.rung_cutoff is None else f"; the cutoff was {self.rung_cutoff:.4f}"
        return place + cutoff + ("; paused, goes on if it comes to be among the best" if self.paused else "")


DECISION_COLUMNS = ("decision", "rung", "rung_size", "rung_rank", "rung_cutoff", "bracket", "rung_front")
"""Of a decision, in its order, in epochs.parquet."""

CONTINUE = Decision("continue")


def recorded(row: Mapping[str, Any], limit: str | None, *, pauses: bool = False) -> Decision:
    """Returns the decision that an epoch's row holds.

    limit: the constraint that the trial breaks. pauses: what its scheduler stops may go on.
    """
    found = Decision(*(row[name] for name in DECISION_COLUMNS))
    return replace(found, limit=limit, paused=pauses and limit is None and found.action == "stop")
