"""What a tracker has not got of a trial yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from cifar_tune.tracking.tracker import TrackedTrial

Measured = tuple[int, Mapping[str, float], datetime]
"""An epoch, its figures, and when it ended."""

HasAll = Callable[[str, int, str, str], bool]
"""Whether the tracker has all of a trial, by its name, last epoch, status and start."""


@dataclass(frozen=True)
class News:
    """A trial of the search, or a confirmation, that is to be sent.

    epochs: all that are measured. start: of the trial of the search; tells it from one of the same name in a sweep that
    was started over.
    """

    trial: TrackedTrial
    epochs: Sequence[Measured]
    start: str


def plain_values(row: pd.Series[Any]) -> dict[str, Any]:
    """A row without what has no value, numbers and times as Python's own."""
    return {str(name): _plain(value) for name, value in row.items() if not pd.isna(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value
