"""`python -m cifar_tune.predict CHECKPOINT IMAGE ...`: what a trained model sees in pictures."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cifar_tune.cli.arguments import STDIN, add_checkpoint, count, on_checkpoint, picture_files
from cifar_tune.cli.exit_status import DONE, WRONG_INPUT, exit_status, parsed
from cifar_tune.errors import DatasetError

if TYPE_CHECKING:
    from cifar_tune.inspection import ClassProbability

EXAMPLES = """examples:
  python -m cifar_tune.predict results/quickstart --best five.png
  python -m cifar_tune.predict results/quickstart/t0004 pictures/ --top 3 --format csv > found.csv
  python -m cifar_tune.predict results/trials/resnet18_cifar100/best cat.jpg dog.jpg --format json
  python -m cifar_tune.predict results/exports/quickstart_t0004/model.onnx five.png
  curl -s https://example.org/cat.jpg | python -m cifar_tune.predict results/exports/quickstart_t0004 -

A picture that cannot be read is reported, and the others are done.

exit status: 0 done; 2 the input is wrong, be it one picture of many.
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
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="files, folders of them at any depth, - for one on stdin"
    )
    parser.add_argument("--top", type=count, default=5, metavar="K", help="classes for each picture (default: 5)")
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="read a model.pt2 too, which can run any code of whoever made it; only for files that you trust",
    )
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table", help="(default: table)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: on_checkpoint(options, lambda folder: predict(options, folder, sys.stdout)))


def predict(options: argparse.Namespace, folder: Path, output: TextIO) -> int:
    """Writes the likeliest classes of each picture, and of an unreadable one why it has none; returns the exit status.

    Raises:
        CifarTuneError: the checkpoint is not there, or no picture is.
    """
    files, refused = picture_files(options.images)
    from cifar_tune.inspection import Predictor
    from cifar_tune.training.datasets.names import readable

    pictures = [sys.stdin.buffer.read() if file == STDIN else file for file in files]
    predictor = Predictor.load(folder, options.device, allow_code=options.allow_code)
    answers = list(zip(files, predictor.predict_each(pictures, options.top), strict=True))
    found = {readable(file): answer for file, answer in answers if not isinstance(answer, DatasetError)}
    if found:
        {"table": _table, "csv": _csv, "json": _json}[options.format](output, found)
    refused += [answer for _, answer in answers if isinstance(answer, DatasetError)]
    for error in refused:
        print(error, file=sys.stderr)
    return WRONG_INPUT if refused else DONE


def _table(output: TextIO, found: Mapping[str, Sequence[ClassProbability]]) -> None:
    from cifar_tune.cli.console import EndingConsole
    from cifar_tune.plotting.section import Table
    from cifar_tune.plotting.terminal_table import TerminalTable

    rows = tuple(
        ("" if place else file, one.name, f"{one.probability:.1%}")
        for file, classes in found.items()
        for place, one in enumerate(classes)
    )
    table = Table(("picture", "class", "probability"), rows, left=(True, True, False))
    EndingConsole(file=output).print(TerminalTable(table))


def _csv(output: TextIO, found: Mapping[str, Sequence[ClassProbability]]) -> None:
    rows = csv.writer(output, lineterminator="\n")
    rows.writerow(["picture", "rank", "class", "probability"])
    for file, classes in found.items():
        rows.writerows([file, rank, one.name, f"{one.probability:.6f}"] for rank, one in enumerate(classes, start=1))


def _json(output: TextIO, found: Mapping[str, Sequence[ClassProbability]]) -> None:
    lines = [
        {"picture": file, "classes": [{"class": one.name, "probability": one.probability} for one in classes]}
        for file, classes in found.items()
    ]
    json.dump(lines, output, indent=1)
    output.write("\n")
