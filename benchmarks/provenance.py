"""What the figures of a benchmark depend on, as its JSON has it."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Returns the command, the commit and the machine."""
    return {
        "command": command(),
        "commit": commit(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
    }


def command() -> str:
    """Returns how this was called."""
    return shlex.join(["python", *sys.argv])


def commit() -> str | None:
    """Returns the commit of the code, None outside of a repository."""
    words = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def cpu_name() -> str:
    """Returns the processor's name as its maker has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
