"""`python -m cifar_tune.predict CHECKPOINT IMAGE ...`: what a trained model sees in pictures."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cifar_tune.arguments import count
from cifar_tune.errors import CheckpointError, CifarTuneError, DatasetError, ResultsError

if TYPE_CHECKING:
    from cifar_tune.inspection import ClassProbability

DONE, WRONG_INPUT, INTERRUPTED = 0, 2, 130
"""Exit statuses."""

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
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="its folder, results/SWEEP/TRIAL_ID, or with --best a sweep"
    )
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="files, or folders of them at any depth")
    parser.add_argument("--best", action="store_true", help="CHECKPOINT is a results folder: its best completed trial")
    parser.add_argument("--top", type=count, default=5, metavar="K", help="classes for each picture (default: 5)")
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table", help="(default: table)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, mps (default: a GPU if there)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = command_line().parse_args(arguments)
    try:
        predict(options, sys.stdout)
    except CifarTuneError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


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


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """Returns the files, and all pictures below the folders, in order.

    Raises:
        DatasetError: one is not there, or a folder has no picture.
    """
    from cifar_tune.training.datasets.folder import IMAGE_SUFFIXES

    found: list[Path] = []
    for path in paths:
        inside = [one for one in sorted(path.rglob("*")) if one.is_file() and one.suffix.lower() in IMAGE_SUFFIXES]
        if path.is_dir() and not inside:
            raise DatasetError(f"{path} has no picture in it (*{', *'.join(IMAGE_SUFFIXES)})")
        if not path.exists():
            raise DatasetError(f"{path} is not there; name a picture, or a folder of them")
        found += inside if path.is_dir() else [path]
    return found


def checkpoint_folder(path: Path, *, best: bool) -> Path:
    """Returns the folder of a checkpoint: `path`, or the best one of the trial or of the sweep that it names.

    Raises:
        CheckpointError: there is none.
        ResultsError: the sweep has no completed trial.
    """
    if best:
        path = best_trial(path)
    folders = [path, path.parent / "checkpoints" / path.name]
    places = [folder / part for folder in folders for part in ("", "best", "last", "previous")]
    found = next((place for place in places if (place / "manifest.json").is_file()), None)
    if found is None:
        hint = "; with --best, its best trial is taken" if (path / "trials.parquet").is_file() else ""
        raise CheckpointError(f"{path} is no checkpoint and no trial with one{hint}")
    return found


def best_trial(folder: Path) -> Path:
    """Returns the checkpoints of a sweep's best completed trial, by its first objective. Raises ResultsError."""
    from cifar_tune.analysis.ranking import ranking
    from cifar_tune.analysis.sweep_file import read_sweep_file
    from cifar_tune.results import load

    ranked = ranking(load(folder).trials, read_sweep_file(folder).metric, top=1)
    if ranked.empty:
        raise ResultsError(f"{folder} has no completed trial")
    return folder / "checkpoints" / str(ranked["trial_id"].iloc[0])


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
