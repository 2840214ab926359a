"""The cards of a machine, found without torch: by `nvidia-smi`, by the kernel's files on AMD, by the chip at Apple."""

from __future__ import annotations

import csv
import importlib.metadata
import itertools
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

GIGABYTE = 10**9

CardKind = Literal["cuda", "mps"]
"""As torch names the device; its builds for AMD say `cuda` too."""

NVIDIA_COLUMNS = ("index", "uuid", "name", "memory.total", "memory.free", "driver_version")
CAPABILITY_COLUMN = "compute_cap"
"""Drivers before 510 refuse a query that has it."""

BFLOAT16_CAPABILITY = (8, 0)
"""Source: CUDA C++ Programming Guide, table of features by compute capability."""

AMD_VENDOR = "0x1002"

NVIDIA_VISIBLE, AMD_VISIBLE = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"

MPS_DAEMON_FOLDER = Path("/tmp/nvidia-mps")
MPS_DAEMON_FILE = "nvidia-cuda-mps-control.pid"
"""Source: NVIDIA Multi-Process Service, CUDA_MPS_PIPE_DIRECTORY."""


@dataclass(frozen=True)
class Gpu:
    """One card. memory_bytes, free_bytes: 0 where unknown. capability: of CUDA, None elsewhere or where unknown."""

    name: str
    memory_bytes: int
    driver: str
    free_bytes: int = 0
    capability: tuple[int, int] | None = None
    kind: CardKind = "cuda"

    def __str__(self) -> str:
        return f"{self.name} ({self.memory_bytes / GIGABYTE:.0f} GB)" if self.memory_bytes else self.name

    @property
    def usable_bytes(self) -> int:
        """What others left of it when it was looked at."""
        return self.free_bytes or self.memory_bytes

    @property
    def bfloat16(self) -> bool | None:
        """Whether it multiplies matrices of bfloat16; None where that is unknown."""
        return None if self.capability is None else self.capability >= BFLOAT16_CAPABILITY


def visible_gpus(visible: str | None = None) -> tuple[Gpu, ...]:
    """Returns the cards that a process has to which those in `visible` are visible; None leaves all."""
    return nvidia_cards(visible) or (among(amd_cards(), visible) if _torch_is_for_amd() else ()) or apple_card()


def visible_here() -> str | None:
    """Returns which cards this process may see, by number or name; None if all. Torch for AMD obeys both variables."""
    return next((os.environ[name] for name in (AMD_VISIBLE, NVIDIA_VISIBLE) if name in os.environ), None)


def among(cards: Sequence[Gpu], visible: str | None) -> tuple[Gpu, ...]:
    """Returns the cards of these numbers, up to the first number that there is not, as CUDA and ROCm do."""
    if visible is None:
        return tuple(cards)
    numbers = itertools.takewhile(lambda word: word.isdigit() and int(word) < len(cards), _words(visible))
    return tuple(cards[int(number)] for number in numbers)


def _words(visible: str) -> list[str]:
    return [word.strip() for word in visible.split(",")]


def nvidia_cards(visible: str | None) -> tuple[Gpu, ...]:
    """Returns what `nvidia-smi` lists, where it is installed and answers."""
    if shutil.which("nvidia-smi") is None:
        return ()
    listed = _nvidia_smi((*NVIDIA_COLUMNS, CAPABILITY_COLUMN)) or _nvidia_smi(NVIDIA_COLUMNS)
    return parse_gpus(listed, visible)


def _nvidia_smi(columns: Sequence[str]) -> str:
    command = ["nvidia-smi", f"--query-gpu={','.join(columns)}", "--format=csv,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def parse_gpus(listed: str, visible: str | None) -> tuple[Gpu, ...]:
    """Returns the cards of `nvidia-smi`'s table with a header, those in `visible` if it is given, in CUDA's order."""
    rows = list(_rows(listed))
    cards = {row["index"]: _nvidia_card(row) for row in rows}
    if visible is None:
        return tuple(cards.values())
    chosen: list[Gpu] = []
    for word in _words(visible):
        index = next((row["index"] for row in rows if word and row["uuid"].startswith(word)), word)
        if index not in cards:
            break  # CUDA sees no card after the first one that it does not know
        chosen.append(cards[index])
    return tuple(chosen)


def _rows(listed: str) -> Iterator[Mapping[str, str]]:
    """Yields the table's rows by column name without its unit; nothing where it is no such table."""
    table = list(csv.reader(listed.splitlines(), skipinitialspace=True))
    if not table or "uuid" not in table[0]:
        return
    names = [name.partition(" ")[0] for name in table[0]]
    yield from (dict(zip(names, row, strict=True)) for row in table[1:] if len(row) == len(names))


def _nvidia_card(row: Mapping[str, str]) -> Gpu:
    major, _, minor = row.get(CAPABILITY_COLUMN, "").partition(".")
    return Gpu(
        row["name"],
        _mebibytes(row["memory.total"]),
        row["driver_version"],
        free_bytes=_mebibytes(row["memory.free"]),
        capability=(int(major), int(minor)) if major.isdigit() and minor.isdigit() else None,
    )


def _mebibytes(text: str) -> int:
    return int(text) * 2**20 if text.isdigit() else 0


def amd_cards(devices: Path = Path("/sys/class/drm")) -> tuple[Gpu, ...]:
    """Returns the AMD cards. Source: the kernel's documentation of amdgpu, mem_info_vram_total and its neighbours."""
    driver = _text(Path("/sys/module/amdgpu/version")) or platform.release()
    folders = sorted(path.parent for path in devices.glob("card*/device/mem_info_vram_total"))
    return tuple(_amd_card(folder, driver) for folder in folders if _text(folder / "vendor") == AMD_VENDOR)


def _torch_is_for_amd() -> bool:
    try:
        return "rocm" in importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False


def _amd_card(folder: Path, driver: str) -> Gpu:
    total, used = int(_text(folder / "mem_info_vram_total")), int(_text(folder / "mem_info_vram_used") or 0)
    return Gpu(_text(folder / "product_name") or "AMD GPU", total, driver, free_bytes=total - used)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def apple_card() -> tuple[Gpu, ...]:
    """Returns the graphics cores of an Apple chip, which share the machine's memory."""
    if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        return ()
    memory = psutil.virtual_memory()
    return (Gpu("Apple GPU", memory.total, platform.mac_ver()[0], free_bytes=memory.available, kind="mps"),)


def mps_daemon_runs() -> bool:
    """Whether NVIDIA's Multi-Process Service is at work here; the CUDA processes of its user then share cards by it."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", MPS_DAEMON_FOLDER))
    number = _text(folder / MPS_DAEMON_FILE)
    return number.isdigit() and psutil.pid_exists(int(number))


def describe_gpus(gpus: Sequence[Gpu]) -> str:
    """Returns the cards in words, such as `2 x NVIDIA H100 PCIe (80 GB)`."""
    counts: dict[str, int] = {}
    for gpu in gpus:
        counts[str(gpu)] = counts.get(str(gpu), 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "no GPU"
