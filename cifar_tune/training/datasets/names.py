"""Names of files for people to read."""

from __future__ import annotations

import os
from pathlib import Path


def readable(path: str | Path) -> str:
    """Returns a path as it can be printed: bytes that are not UTF-8 as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
