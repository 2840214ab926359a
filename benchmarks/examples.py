"""The small versions of the experiments in `sweeps/`, run as their headers say and kept in `results/examples`.

    python benchmarks/examples.py [NAME ...] [--results DIR]

A sweep goes to DIR/NAME (default: results/small), where one that was interrupted is finished. What is kept: the tables
without the machine's name and without checkpoints, the sweep, the environment, and the report's findings with figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cifar_tune.analysis.reports.markdown import markdown
from cifar_tune.analysis.reports.overview import Choice
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.plotting.files import image_of
from cifar_tune.plotting.theme import LIGHT
from cifar_tune.results import load

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "results" / "examples"
SMALL = re.compile(r"^# Small version.*:\n((?:#   .*\n)+)", re.MULTILINE)
LEFT_OUT = re.compile("Course of the search|Importance|One parameter|Cost|Refused|How it was made|Early stopping")
"""Titles of sections that a small sweep is too small for, or that the tables say."""
PRIVATE = ("node", "checkpoint")
COLOURS = 128
"""Of a figure, which take a third of the bytes of all of them."""


def small_overrides(file: Path) -> list[str]:
    """Returns the `KEY=VALUE` of the small version in a sweep's header; raises LookupError where there is none."""
    found = SMALL.search(file.read_text(encoding="utf-8"))
    if found is None:
        raise LookupError(f"{file}: the header names no small version")
    words = shlex.split(" ".join(line.removeprefix("#").strip() for line in found[1].splitlines()))
    return [value for option, value in pairwise(words) if option == "--set"]


def run(file: Path, folder: Path) -> None:
    overrides = [word for value in small_overrides(file) for word in ("--set", value)]
    mode = ["--resume"] if folder.exists() else []
    command = [sys.executable, "-m", "cifar_tune.sweep", f"sweeps/{file.name}", *overrides, "--results", folder, *mode]
    subprocess.run(command, cwd=ROOT, check=True)


def choice_of(file: Path) -> Choice:
    """Returns the axes of the report's command in a sweep's header."""
    found = re.search(r"cifar_tune\.report \S+((?: --[xy] \S+)+)", file.read_text(encoding="utf-8"))
    words = found[1].split() if found else []
    axes = dict(zip(words[::2], words[1::2], strict=True))
    return Choice(axes.get("--x"), axes.get("--y"))


def keep(folder: Path, example: Path, choice: Choice) -> int:
    """Replaces an example by what is kept of a results folder; returns its bytes."""
    shutil.rmtree(example, ignore_errors=True)
    (example / "report").mkdir(parents=True)
    for name in ("trials.parquet", "epochs.parquet"):
        table = pq.read_table(folder / name)
        for column in {*PRIVATE} & {*table.column_names}:
            place = table.column_names.index(column)
            empty = pa.nulls(table.num_rows, table.schema.field(column).type)
            table = table.set_column(place, table.schema.field(column), empty)
        pq.write_table(table, example / name, compression="zstd")
    shutil.copy(folder / "sweep.yaml", example)
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    environment.pop("host", None)
    environment["command"] = re.sub(r" --(results|data) \S+| --resume", "", environment["command"])
    (example / "environment.json").write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")

    report = make_report(folder, *load(folder), choice)
    sections = tuple(section for section in report.sections if not LEFT_OUT.match(section.title))
    (example / "report" / "report.md").write_text(markdown(dataclasses.replace(report, sections=sections)), "utf-8")
    for section in sections:
        if section.draw is not None:
            picture = Image.open(io.BytesIO(image_of(section.draw(LIGHT)))).convert("RGB")
            picture.quantize(COLOURS).save(example / "report" / f"{section.name}.png", optimize=True)
    return sum(file.stat().st_size for file in example.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs and keeps the small versions of the experiments in sweeps/.")
    parser.add_argument("names", nargs="*", help="of files in sweeps/ (default: all that have a small version)")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "small")
    options = parser.parse_args()
    having = (file for file in sorted((ROOT / "sweeps").glob("*.yaml")) if SMALL.search(file.read_text("utf-8")))
    for name in options.names or [file.stem for file in having]:
        file = ROOT / "sweeps" / f"{name}.yaml"
        run(file, options.results / name)
        kept = keep(options.results / name, EXAMPLES / name, choice_of(file))
        print(f"{name}: {kept / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
