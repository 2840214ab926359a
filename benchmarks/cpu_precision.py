"""Where bfloat16 is faster than float32 on this CPU, and channels_last than contiguous: by model, width and size.

    python benchmarks/cpu_precision.py [--json PATH] [--repetitions 5]

One training step on one thread, measured by the process's CPU time, which a busy machine disturbs least; the variants
take turns. What comes of it is `cpu_bfloat16_resolution` of the models.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from provenance import command, cpu_name
from pydantic import TypeAdapter
from torch.nn import functional as F

from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models import AnyModel

CASES = [
    *(("resnet18", width, side) for side in (8, 16, 32) for width in (8, 16, 32)),
    *((model, 16, side) for model in ("tgn", "ternary_resnet18") for side in (8, 16, 32)),
    *(("mininet", width, side) for side in (8, 16, 32, 64) for width in (8, 32)),
]
VARIANTS = {
    "float32": (False, torch.channels_last),
    "bfloat16": (True, torch.channels_last),
    "float32 contiguous": (False, torch.contiguous_format),
}
BATCH = 64
SECONDS = 0.15
"""Of CPU time at least, per variant and repetition."""


def step_of(name: str, width: int, side: int, casts: bool, layout: torch.memory_format) -> Callable[[], None]:
    """Returns one training step."""
    coarse = tuple(label % 2 for label in range(10))
    info = DatasetInfo(tuple("0123456789"), 3, side, (0.5,) * 3, (0.5,) * 3, 1000, ("a", "b"), coarse)
    model = TypeAdapter(AnyModel).validate_python({"name": name, "width": width}).build(info).to(memory_format=layout)
    images = torch.randn(BATCH, 3, side, side).contiguous(memory_format=layout)
    labels = torch.randint(10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=casts):
            loss = F.cross_entropy(model(images).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def cpu_seconds(step: Callable[[], None], count: int) -> float:
    """Returns CPU seconds of one of `count` steps."""
    began = time.process_time()
    for _ in range(count):
        step()
    return (time.process_time() - began) / count


def measured(name: str, width: int, side: int, repetitions: int) -> dict[str, Any]:
    """Returns medians in seconds, and the ratios of what took turns."""
    steps = {variant: step_of(name, width, side, *options) for variant, options in VARIANTS.items()}
    for step in steps.values():
        step()
    count = max(1, round(SECONDS / cpu_seconds(steps["float32"], 1)))
    seconds: dict[str, list[float]] = {variant: [] for variant in steps}
    for _ in range(repetitions):
        for variant, step in steps.items():
            seconds[variant].append(cpu_seconds(step, count))

    def ratio(slow: str, fast: str) -> float:
        return statistics.median(one / other for one, other in zip(seconds[slow], seconds[fast], strict=True))

    return {
        "model": name,
        "width": width,
        "side": side,
        "float32_seconds": statistics.median(seconds["float32"]),
        "bfloat16_times_as_fast": ratio("float32", "bfloat16"),
        "channels_last_times_as_fast": ratio("float32 contiguous", "float32"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="bfloat16 against float32 on this CPU.")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print(f"{'model':18} width  side  float32 step  bfloat16  channels_last")
    for case in CASES:
        row = measured(*case, options.repetitions)
        rows.append(row)
        print(
            f"{row['model']:18} {row['width']:5} {row['side']:5} {row['float32_seconds'] * 1e3:10.1f} ms"
            f"  {row['bfloat16_times_as_fast']:7.2f}x  {row['channels_last_times_as_fast']:12.2f}x",
            flush=True,
        )
    if options.json:
        environment = {
            "command": command(),
            "cpu": cpu_name(),
            "matrix_units": torch.cpu._is_amx_tile_supported(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "batch": BATCH,
            "threads": 1,
            "repetitions": options.repetitions,
        }
        options.json.write_text(json.dumps({"environment": environment, "steps": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
