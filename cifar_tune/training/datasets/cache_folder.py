"""Where a machine keeps what can be made again from the data sets."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder(root: Path) -> Path:
    """Returns CIFAR_TUNE_CACHE where that is set, else a folder beside the data sets; it may not exist yet."""
    chosen = os.environ.get("CIFAR_TUNE_CACHE")
    return Path(chosen).expanduser() if chosen else root / ".cache" / "cifar_tune"


def keep(path: Path, content: bytes) -> None:
    """Writes a file that readers see whole or not at all; leaves it unwritten where the folder cannot be written to."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
