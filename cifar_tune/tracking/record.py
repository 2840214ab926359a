"""What a tracker has of a sweep already: a file in the results folder, so that no trial is sent twice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cifar_tune.errors import ResultsError
from cifar_tune.layout import TRACKING_FOLDER
from cifar_tune.plotting.files import write_file


@dataclass(frozen=True)
class Sent:
    """run: its name in the tracker. epoch: the last sent. status: as it was sent. started_at: tells sweeps apart."""

    run: str
    epoch: int
    status: str
    started_at: str


class SentRecord:
    """By trial, what was sent to one place."""

    def __init__(self, folder: Path, tracker: str, place: str) -> None:
        """place: trials sent to another do not count. One inside the results folder moves with it.

        Raises:
            ResultsError: the file is damaged.
        """
        self._path = folder / TRACKING_FOLDER / f"{tracker}.json"
        inside = Path(place).is_relative_to(folder.resolve())
        self._place = str(Path(place).relative_to(folder.resolve())) if inside else place
        self._all = self._read()
        self.trials = {name: Sent(**values) for name, values in self._all.get(self._place, {}).items()}

    def save(self) -> None:
        """Writes the record, whole or not at all.

        Raises:
            ResultsError: the folder cannot be written to.
        """
        kept = {**self._all, self._place: {name: asdict(sent) for name, sent in self.trials.items()}}
        write_file(self._path, json.dumps(kept).encode())

    def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
        try:
            content: dict[str, dict[str, dict[str, Any]]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ResultsError(f"{self._path}: is damaged ({error}); delete it to send every trial again") from error
        return content
