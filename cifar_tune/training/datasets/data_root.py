"""Where the data sets lie."""

from __future__ import annotations

import os
from pathlib import Path


def data_root(chosen: Path | None = None) -> Path:
    """Returns the folder that holds the data sets, absolute: the one chosen, else CIFAR_TUNE_DATA, else ./data."""
    return (chosen or Path(os.environ.get("CIFAR_TUNE_DATA") or "data")).expanduser().absolute()
