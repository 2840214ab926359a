"""environment.json: with what, where and how a sweep was run."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cifar_tune
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.storage.atomic_write import replace_text
from cifar_tune.training.reproducibility import cpu_model

PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy", "pandas", "pyarrow", "pydantic", "safetensors")
"""Those whose version can change a result or how it is read."""


def environment(machine: Machine, command: str) -> dict[str, Any]:
    """Returns versions, git commit, host, devices and command line, for JSON. Imports none of the packages."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "cifar_tune": cifar_tune.__version__,
        "git": git_state(Path(cifar_tune.__file__).parent),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": machine.cores,
        "memory_bytes": machine.memory_bytes,
        "gpus": [asdict(gpu) for gpu in machine.gpus],
    }


def record_environment(path: Path, current: dict[str, Any]) -> None:
    """Writes the environment that a sweep begins in; those in which it was continued follow under `continued`."""
    if path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        first.pop("ended_by", None)
        current = first | {"continued": [*first.get("continued", []), current]}
    replace_text(path, json.dumps(current, indent=2) + "\n")


def record_end(path: Path, told: str) -> None:
    """Writes beside the environment which stop rule has ended the sweep."""
    content = json.loads(path.read_text(encoding="utf-8")) | {"ended_by": told}
    replace_text(path, json.dumps(content, indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_state(folder: Path) -> str | None:
    """The commit that the code was run from, with `-dirty` where files differ from it; None outside a repository."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
