"""Whether sharing a card pays: how fast trials trained, by how many shared the card; kept between sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cifar_tune.execution.placement.memory_record import Conditions, append_entry, entries

SPEED_NAME = "speed.jsonl"

WORTH_SHARING = 1.05
"""Gain in all trials' images per second together for which more of them share a card; each then takes longer."""

WORTH_WRITING = 1.02


def worthwhile(speeds: Mapping[int, float]) -> int | None:
    """Returns how many trials a card should hold at most; None where nothing says that more would not pay.

    speeds: images per second of one trial, by how many shared the card while it trained. Chosen are the fewest whose
    sum comes near the largest; the most that were tried set no limit, for more may pay still.
    """
    if not speeds:
        return None
    best = max(count * speed for count, speed in speeds.items())
    enough = min(count for count, speed in speeds.items() if count * speed * WORTH_SHARING >= best)
    return None if enough == max(speeds) else enough


@dataclass(frozen=True)
class Load:
    """What a trial's speed depends on, beside its neighbours."""

    conditions: Conditions
    micro_batch: int


@dataclass
class SpeedRecord:
    """The highest speed seen, by load and number of trials on the card; path: None keeps nothing on disk.

    The highest, for whatever else a machine does makes trials slower.
    """

    path: Path | None = None
    speeds: dict[Load, dict[int, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> SpeedRecord:
        """Returns the record at `path`."""
        record = cls(path)
        for entry in entries(path):
            try:
                load = Load(Conditions(**entry["conditions"]), int(entry["micro_batch"]))
                record._raise(load, int(entry["trials"]), float(entry["images_per_second"]))
            except (ValueError, TypeError, KeyError):
                continue
        return record

    def most(self, load: Load) -> int | None:
        """Returns how many trials of this load a card should hold at most; None where there is no limit."""
        return worthwhile(self.speeds.get(load, {}))

    def learn(self, load: Load, trials: int, images_per_second: float) -> None:
        """Takes in a measurement; a cache that cannot be written to is done without."""
        if images_per_second <= self.speeds.get(load, {}).get(trials, 0.0) * WORTH_WRITING:
            return
        self._raise(load, trials, images_per_second)
        entry = {
            "conditions": vars(load.conditions),
            "micro_batch": load.micro_batch,
            "trials": trials,
            "images_per_second": round(images_per_second, 1),
        }
        if self.path is not None and not append_entry(self.path, entry):
            self.path = None

    def _raise(self, load: Load, trials: int, speed: float) -> None:
        seen = self.speeds.setdefault(load, {})
        seen[trials] = max(speed, seen.get(trials, 0.0))
