"""`python -m cifar_tune.predict CHECKPOINT IMAGE ...`: what a trained model sees in pictures."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cifar_tune.arguments import add_checkpoint, checkpoint_folder, count, picture_files
from cifar_tune.exits import exit_status

if TYPE_CHECKING:
    from cifar_tune.inspection import ClassProbability

EXAMPLES = """examples:
  python -m cifar_tune.predict results/quickstart --best five.png
  python -m cifar_tune.predict results/quickstart/t0004 pictures/ --top 3 --format csv > found.csv
  python -m cifar_tune.predict results/trials/resnet18_cifar100/best cat.jpg dog.jpg --format json

exit status: 0 done; 2 the input is wrong.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.predict",
        description="Prints the likeliest classes of pictures, prepared as the trial's own validation images were.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_checkpoint(parser)
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="files, or folders of them at any depth")
    parser.add_argument("--top", type=count, default=5, metavar="K", help="classes for each picture (default: 5)")
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table", help="(default: table)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = command_line().parse_args(arguments)
    return exit_status(lambda: predict(options, sys.stdout))


def predict(options: argparse.Namespace, output: TextIO) -> None:
    """Writes the likeliest classes of each picture.

    Raises:
        CifarTuneError: the checkpoint or a picture is not there or cannot be read.
    """
    files = picture_files(options.images)
    folder = checkpoint_folder(options.checkpoint, best=options.best)
    from cifar_tune.inspection import Predictor

    found = Predictor.load(folder, options.device).predict_batch(files, options.top)
    {"table": _table, "csv": _csv, "json": _json}[options.format](output, files, found)


def _table(output: TextIO, files: Sequence[Path], found: Sequence[Sequence[ClassProbability]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="dim")
    table.add_column("picture", overflow="fold")
    table.add_column("class")
    table.add_column("probability", justify="right")
    for file, classes in zip(files, found, strict=True):
        for place, one in enumerate(classes):
            table.add_row("" if place else str(file), one.name, f"{one.probability:.1%}")
    Console(file=output).print(table)


def _csv(output: TextIO, files: Sequence[Path], found: Sequence[Sequence[ClassProbability]]) -> None:
    rows = csv.writer(output, lineterminator="\n")
    rows.writerow(["picture", "rank", "class", "probability"])
    for file, classes in zip(files, found, strict=True):
        rows.writerows([file, rank, one.name, f"{one.probability:.6f}"] for rank, one in enumerate(classes, start=1))


def _json(output: TextIO, files: Sequence[Path], found: Sequence[Sequence[ClassProbability]]) -> None:
    lines = [
        {"picture": str(file), "classes": [{"class": one.name, "probability": one.probability} for one in classes]}
        for file, classes in zip(files, found, strict=True)
    ]
    json.dump(lines, output, indent=1)
    output.write("\n")


if __name__ == "__main__":
    sys.exit(main())
