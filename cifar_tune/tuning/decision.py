"""What becomes of a trial after an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Decision:
    """Whether a trial goes on, and the comparison that decided it.

    rung: the rung's epoch; None between rungs. rung_size: trials recorded there so far, this one included.
    rung_rank: place among them, 1 for the best. rung_cutoff: value needed to go on; None while the rung has too few.
    """

    action: Literal["continue", "stop"]
    rung: int | None = None
    rung_size: int | None = None
    rung_rank: int | None = None
    rung_cutoff: float | None = None

    @property
    def reason(self) -> str | None:
        """Why a trial was stopped; None for one that goes on."""
        if self.action == "continue":
            return None
        return f"place {self.rung_rank} of {self.rung_size} at epoch {self.rung}; the cutoff was {self.rung_cutoff:.4f}"


CONTINUE = Decision("continue")
