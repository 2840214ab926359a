"""What trials took of their cards, beside what was predicted; kept between sweeps in the user's cache."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cifar_tune.storage.user_cache import user_cache

RECORD_NAME = "memory.jsonl"

WORTH_WRITING = 1.02
"""A ratio that exceeds the recorded one by less changes no share."""


@dataclass(frozen=True)
class Conditions:
    """What the ratio of taken to predicted memory depends on. model: as JSON. resolution: in pixels."""

    device: str
    precision: str
    model: str
    resolution: int


@dataclass
class MemoryRecord:
    """The largest ratio of memory taken to memory predicted, by conditions. path: None keeps nothing on disk.

    One line of JSON a new maximum; sweeps that run at once append to one file.
    """

    path: Path | None = None
    ratios: dict[Conditions, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> MemoryRecord:
        """Returns the record at `path`."""
        record = cls(path)
        for entry in entries(path):
            try:
                record._raise(Conditions(**entry["conditions"]), float(entry["ratio"]))
            except (ValueError, TypeError, KeyError):
                continue
        return record

    def ratio(self, conditions: Conditions) -> float:
        """Returns by what predictions must be multiplied; 1 where nothing was measured."""
        return self.ratios.get(conditions, 1.0)

    def suspect(self, conditions: Conditions, ratio: float) -> None:
        """Takes in that a trial of this ratio was not enough, for this sweep alone: others may have held its memory."""
        self._raise(conditions, ratio)

    def learn(self, conditions: Conditions, ratio: float) -> None:
        """Takes in a measurement; a cache that cannot be written to is done without."""
        if ratio <= self.ratios.get(conditions, 0.0) * WORTH_WRITING:
            return
        self._raise(conditions, ratio)
        entry = {"conditions": vars(conditions), "ratio": round(ratio, 4)}
        if self.path is not None and not append_entry(self.path, entry):
            self.path = None

    def _raise(self, conditions: Conditions, ratio: float) -> None:
        self.ratios[conditions] = max(ratio, self.ratios.get(conditions, 0.0))


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of a record; one that is none is passed over, for another sweep may be writing it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def append_entry(path: Path, entry: Mapping[str, Any]) -> bool:
    """Adds a line to a record; returns whether that could be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError:
        return False
    return True


def user_record(name: str = RECORD_NAME) -> Path:
    """Returns where this user's record of that name lies."""
    return user_cache() / name
