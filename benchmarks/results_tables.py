"""What the tables cost: writing a report, memory, opening again, loading a million epochs, a heat map of 10,000 trials.

    python benchmarks/results_tables.py [--trials 10000] [--epochs 27]

Prints a table with the bounds that each figure is held to; exits with 1 where one is not kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from cifar_tune.analysis import draw_heatmap, heatmap
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.arrow import VERSION_KEY
from cifar_tune.results.arrow import field as arrow_field
from cifar_tune.results.columns import EPOCH_COLUMNS, TRIAL_COLUMNS

MILLION = 1_000_000


@dataclass
class Measured:
    """Name, value, unit and bound of each figure."""

    rows: list[tuple[str, float, str, float | None]] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, bound: float | None = None) -> None:
        self.rows.append((name, value, unit, bound))
        kept = "" if bound is None else f"at most {bound:g}: {'kept' if value <= bound else 'NOT KEPT'}"
        print(f"{name:<58}{value:>10.3g} {unit:<16}{kept}", flush=True)

    @contextmanager
    def seconds(self, name: str, bound: float | None = None) -> Iterator[None]:
        """CPU time of all threads, which a busy machine does not stretch as it does the wall time beside it."""
        began, cpu = time.perf_counter(), time.process_time()
        yield
        self.add(name, time.process_time() - cpu, f"s (wall {time.perf_counter() - began:.2g})", bound)

    def all_kept(self) -> bool:
        return all(bound is None or value <= bound for _, value, _, bound in self.rows)


def configuration(place: int) -> dict[str, object]:
    """As many values as a trial of CIFAR-10 has; one differs from trial to trial."""
    fixed: dict[str, object] = {f"block{part}.value{number}": number for part in range(5) for number in range(6)}
    return {
        **fixed,
        "optimizer.lr": 10 ** (-3 + 3 * (place % 997) / 997),
        "model.activation": ("relu", "mish", "serf")[place % 3],
    }


def write_trial(store: ResultsStore, place: int, epochs: int) -> None:
    """One trial from its start to its end."""
    trial_id = f"t{place:05d}"
    store.update_trial(trial_id, status="running", study="relu", seed=place, configuration=configuration(place))
    for epoch in range(1, epochs + 1):
        store.add_epoch(
            trial_id,
            epoch,
            train_loss=2 / epoch + place * 1e-6,
            train_accuracy=1 - 1 / (epoch + 1) - place * 1e-6,
            validation_loss=2.1 / epoch + place * 1e-6,
            validation_accuracy=1 - 1.1 / (epoch + 1) - place * 1e-6,
            lr=0.1 / epoch,
            epoch_seconds=2.0 + place * 1e-6,
            images_per_second=5000.0 - place * 1e-3,
            peak_memory_bytes=10**9 + place,
            decision="continue",
        )
    store.update_trial(trial_id, status="completed", wall_seconds=60.0, attempts=1, device_name="cpu", node="host")


def resident_bytes() -> int:
    """Memory of this process."""
    return int(psutil.Process().memory_info().rss)


def measure_writing(measured: Measured, folder: Path, trials: int, epochs: int) -> None:
    """CPU time per report early and late, publishing included; memory a trial; opening the sweep again."""
    store = ResultsStore.create(folder, sweep_name="bench")
    tenth = trials // 10
    reports = tenth * (epochs + 2)
    parts = []
    for part in range(10):
        began = time.process_time()
        for place in range(part * tenth, (part + 1) * tenth):
            write_trial(store, place, epochs)
        parts.append((time.process_time() - began) / reports)
        if part == 0:
            resident = resident_bytes()
    measured.add(f"CPU time a report, trials 1 to {tenth}", 1e6 * parts[0], "us")
    measured.add("the same in the last tenth, times as much", parts[-1] / parts[0], "", 1.3)
    measured.add("memory a trial", (resident_bytes() - resident) / (9 * tenth) / 1024, "KiB", 10)
    with measured.seconds("publishing and closing"):
        store.close()
    with measured.seconds("opening the sweep again", 20):
        ResultsStore.open(folder).close()


def measure_loading(measured: Measured, folder: Path) -> None:
    """A million epochs, written by hand in our schema."""
    folder.mkdir()
    per_trial = 100
    ids = np.repeat([f"t{place:05d}" for place in range(MILLION // per_trial)], per_trial)
    draw = np.random.default_rng(0)
    columns = {column.name: pa.array(draw.uniform(0, 1, MILLION)) for column in EPOCH_COLUMNS if column.kind == "float"}
    columns |= {
        "trial_id": pa.array(ids),
        "epoch": pa.array(np.tile(np.arange(1, per_trial + 1), MILLION // per_trial)),
    }
    schema = pa.schema([arrow_field(column) for column in EPOCH_COLUMNS if column.name in columns], {VERSION_KEY: "1"})
    pq.write_table(pa.table({name: columns[name] for name in schema.names}, schema=schema), folder / "epochs.parquet")
    schema = pa.schema([arrow_field(column) for column in TRIAL_COLUMNS], {VERSION_KEY: "1"})
    pq.write_table(schema.empty_table(), folder / "trials.parquet")
    with measured.seconds("loading a million epochs", 2):
        assert len(load(folder).epochs) == MILLION


def measure_heat_map(measured: Measured, folder: Path) -> None:
    """From loaded frames to a file."""
    trials, epochs, _ = load(folder)
    with measured.seconds(f"heat map of {len(trials)} trials, {len(epochs)} epochs, computed and drawn", 3):
        draw_heatmap(heatmap(trials, "optimizer.lr", "model.activation", epochs=epochs), folder / "h.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=27)
    options = parser.parse_args()
    measured = Measured()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        measure_writing(measured, folder / "sweep", options.trials, options.epochs)
        measure_loading(measured, folder / "million")
        measure_heat_map(measured, folder / "sweep")
    return 0 if measured.all_kept() else 1


if __name__ == "__main__":
    sys.exit(main())
