"""Where networks lie on the disk. No torch here."""

from __future__ import annotations

from pathlib import Path

MARKERS = "manifest.json", "config.json"
"""A file that only a checkpoint has, and one that only an exported model has."""


def network_folder(path: Path) -> Path | None:
    """Returns a checkpoint's or exported model's folder: `path`, or the best one of the trial that it names.

    path: also a trial's folder of checkpoints, or results/SWEEP/TRIAL_ID. A file of an exported model stands for
    itself. None: there is none.
    """
    if path.is_file():
        return path
    folders = [path, path.parent / "checkpoints" / path.name]
    places = [folder / part for folder in folders for part in ("", "best", "last", "previous")]
    return next((place for place in places if any((place / one).is_file() for one in MARKERS)), None)
