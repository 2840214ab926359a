"""Where the trials train and what memory they take: as the tables say, and as this machine measures if it is here."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

from cifar_tune.dashboard.live import Snapshot
from cifar_tune.dashboard.values import plain
from cifar_tune.layout import ENVIRONMENT_NAME
from cifar_tune.results.columns import RUNNING
from cifar_tune.results.lock import read_driver

MEBIBYTE = 2**20
QUERY = ("index", "name", "memory.used", "memory.total", "utilization.gpu")
WATCHED_SECONDS = 0.1
"""That the CPU is watched for: without, psutil's first answer is 0."""
PATIENCE_SECONDS = 5.0
"""For nvidia-smi, which takes 0.1 to 2 s."""


def machines(snapshot: Snapshot) -> dict[str, Any]:
    """The nodes with trials on them, and this machine if the sweep is, or was, run from it."""
    environment = read_environment(snapshot.folder)
    driver = read_driver(snapshot.folder)
    host = driver.node if driver else environment.get("host")
    here = host == platform.node()
    return {
        "host": host,
        "here": here,
        "nodes": _nodes(snapshot),
        "machine": _this_machine() if here else None,
        "environment": [[key.replace("_", " "), _text(value)] for key, value in environment.items() if value],
    }


def read_environment(folder: Path) -> dict[str, Any]:
    """What environment.json holds; nothing if it cannot be read."""
    try:
        content = json.loads((folder / ENVIRONMENT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _nodes(snapshot: Snapshot) -> list[dict[str, Any]]:
    """One entry a node and device with trials on it: how many, how many now, and what memory those were given."""
    known = snapshot.trials[snapshot.trials["node"].notna() | snapshot.trials["device_name"].notna()]
    devices = known.assign(
        node=known["node"].astype(object).fillna("not known"),
        device_name=known["device_name"].astype(object).fillna("not known"),
    )
    entries = []
    for (node, device), trials in devices.groupby(["node", "device_name"]):
        running = trials[trials["status"] == RUNNING]
        entries.append(
            {
                "node": node,
                "device": device,
                "trials": len(trials),
                "running": len(running),
                "reserved_bytes": int(running["gpu_memory_reserved_bytes"].fillna(0).sum()),
                "peak_bytes": plain(trials["peak_memory_bytes"].max()),
            }
        )
    return entries


def _this_machine() -> dict[str, Any]:
    memory = psutil.virtual_memory()
    return {
        "cpu_fraction": psutil.cpu_percent(WATCHED_SECONDS) / 100,
        "cores": psutil.cpu_count(),
        "memory_used_bytes": memory.total - memory.available,
        "memory_bytes": memory.total,
        "gpus": _gpus(),
    }


def _gpus() -> list[dict[str, Any]]:
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(done.stdout)


def parse_gpus(listed: str) -> list[dict[str, Any]]:
    """The cards in nvidia-smi's table of `QUERY`, memory in MiB; None for what a card does not tell (`[N/A]`)."""
    cards = []
    for line in listed.strip().splitlines():
        index, name, used, total, busy = (part.strip() for part in line.split(","))
        cards.append(
            {
                "name": f"{index}: {name}",
                "memory_used_bytes": _number(used, MEBIBYTE),
                "memory_bytes": _number(total, MEBIBYTE),
                "busy_fraction": _number(busy, 0.01),
            }
        )
    return cards


def _number(text: str, unit: float) -> float | None:
    return float(text) * unit if text.replace(".", "", 1).isdecimal() else None


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return ", ".join(_text(item) for item in value) if isinstance(value, list) else str(value)
