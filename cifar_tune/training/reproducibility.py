"""What the bits of a curve depend on, beside the trial and its seed. Imports no torch before it is asked."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")
"""With these, oneDNN and MKL use fewer instructions than the processor has. ATEN_CPU_CAPABILITY is not among them,
because torch tells what it came to. Source: oneDNN, CPU Dispatcher Control; oneMKL, Conditional Numerical
Reproducibility."""

PROCESSOR_COLUMNS = ("threads", "cpu_model", "instruction_set")
"""Of trials.parquet, and fields of a `ComputeEnvironment`."""


@dataclass(frozen=True)
class ComputeEnvironment:
    """Where and how epochs were computed. None: a table or checkpoint does not say.

    device: `cpu`, or the name of the card. threads: of torch, in each process.
    """

    device: str
    precision: str | None = None
    processes: int | None = None
    threads: int | None = None
    cpu_model: str | None = None
    instruction_set: str | None = None
    torch: str | None = None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> ComputeEnvironment:
        """Returns what `asdict` was given, by this version or one with other fields."""
        values: dict[str, Any] = {field.name: record.get(field.name) for field in fields(cls)}
        return cls(**values)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> ComputeEnvironment | None:
        """Returns that of a row of trials.parquet. None: no epoch was finished, or the table is older."""
        if row.get("device_name") is None or row.get("cpu_model") is None:
            return None
        names = ("precision", "processes", *PROCESSOR_COLUMNS)
        return cls(row["device_name"], **{name: row.get(name) for name in names})

    def processor_columns(self) -> dict[str, Any]:
        """Returns what trials.parquet says of the processor."""
        return {name: value for name, value in asdict(self).items() if name in PROCESSOR_COLUMNS}


def current_environment(device: torch.device, precision: str, processes: int) -> ComputeEnvironment:
    """Returns that of this process, as long as its number of threads stays."""
    import torch

    return ComputeEnvironment(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=precision,
        processes=processes,
        threads=torch.get_num_threads(),
        cpu_model=cpu_model(),
        instruction_set=instruction_set(),
        torch=torch.__version__,
    )


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """Returns the processor's name as its maker has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def instruction_set() -> str:
    """Returns the instructions that torch uses here, such as `AVX512 with AVX512_BF16 and AMX`."""
    import torch

    extensions = {"AVX512_BF16": torch.cpu._is_avx512_bf16_supported(), "AMX": torch.cpu._is_amx_tile_supported()}
    present = " and ".join(name for name, supported in extensions.items() if supported)
    variables = [f"{name}={os.environ[name]}" for name in ISA_VARIABLES if os.environ.get(name)]
    capability = torch.backends.cpu.get_cpu_capability()
    return ", ".join([f"{capability} with {present}" if present else capability, *variables])


def why_bits_differ(
    environments: Iterable[ComputeEnvironment], now: ComputeEnvironment, *, deterministic: bool
) -> str | None:
    """Returns in words why training now does not repeat the bits of training in these environments.

    None: as far as it is known, it does. deterministic: of the trial.
    """
    reasons: dict[str, None] = {}
    for then in environments:
        reasons |= dict.fromkeys(_differences(then, now))
    if now.device != "cpu" and not deterministic:
        reasons["a GPU repeats bits with CUDA and `deterministic: true` only"] = None
    return "; ".join(reasons) or None


def _differences(then: ComputeEnvironment, now: ComputeEnvironment) -> list[str]:
    """Returns what differs, in words. The processor and its threads matter where it computes the epochs."""
    units = {"device": "", "precision": "", "processes": " process", "torch": "torch "}
    if then.device == now.device == "cpu":
        units |= {"threads": " thread", "cpu_model": "", "instruction_set": ""}
    pairs = [(unit, getattr(then, name), getattr(now, name)) for name, unit in units.items()]
    return [
        f"{_told(old, unit)} then, {_told(new, unit)} now"
        for unit, old, new in pairs
        if None not in (old, new) and old != new
    ]


def _told(value: str | int, unit: str) -> str:
    """Returns a name or a count with its unit."""
    if isinstance(value, int):
        return f"{value}{unit}{'' if value == 1 else 'es' if unit.endswith('s') else 's'}"
    return f"{unit}{value}"
