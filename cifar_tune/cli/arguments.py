"""What arguments of several commands have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cifar_tune.cli.results_place import open_for_reading
from cifar_tune.errors import CheckpointError, DatasetError, ResultsError, StorageError
from cifar_tune.layout import CHECKPOINTS, LEDGER_NAME, SWEEP_NAME, TRIAL_FILE, TRIALS_NAME
from cifar_tune.storage.address import Address, place
from cifar_tune.storage.folders import fetch_checkpoints, named
from cifar_tune.training.places import network_folder


def count(text: str) -> int:
    """Returns a whole number of at least 1. Raises ArgumentTypeError, which argparse prints with the option's name."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def local_folder(text: str) -> Path:
    """Returns a folder's path. Raises ArgumentTypeError for an address such as s3://bucket/x."""
    if "://" in text:
        raise argparse.ArgumentTypeError(f"must be a folder, got {text!r}; a bucket can be mounted as one")
    return Path(text)


def results_place(text: str) -> Path | Address:
    """Returns where results are. Raises ArgumentTypeError for an address of no known store."""
    try:
        return place(text)
    except StorageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_results(parser: argparse.ArgumentParser) -> None:
    """Adds the results that a command is about."""
    parser.add_argument(
        "results",
        type=results_place,
        metavar="RESULTS",
        help="a results folder, such as results/quickstart, or its s3:// or gs:// address",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds `--data`."""
    parser.add_argument(
        "--data", type=local_folder, metavar="DIR", help="data root (default: CIFAR_TUNE_DATA, else ./data)"
    )


def add_address(parser: argparse.ArgumentParser) -> None:
    """Adds `--address`."""
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="of a Ray cluster to run on: auto, HOST:PORT or ray://HOST:PORT (default: RAY_ADDRESS, else none)",
    )


def add_checkpoint(parser: argparse.ArgumentParser, *, runs: bool = True) -> None:
    """Adds what names a checkpoint, and the device where it `runs`; `checkpoint_folder` finds it."""
    parser.add_argument(
        "checkpoint",
        type=results_place,
        metavar="CHECKPOINT",
        help="its folder, results/SWEEP/TRIAL_ID, with --best a sweep, or an exported model; s3:// and gs:// too",
    )
    parser.add_argument("--best", action="store_true", help="CHECKPOINT is a results folder: its best completed trial")
    if runs:
        parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, mps (default: a GPU if there)")


def suggested_override(unknown: Sequence[str]) -> str:
    """Returns the `--set` that does what options are taken for: `--epochs 3` means `--set trial.epochs=3`."""
    from cifar_tune.config.allowed import schema_of
    from cifar_tune.config.json_schema import paths_below
    from cifar_tune.config.messages import abbreviated
    from cifar_tune.config.sweep_config import SweepConfig

    option, equals, given = unknown[0].partition("=")
    name = option.lstrip("-").replace("-", "_")
    keys: dict[str, str] = {}
    for path, _ in sorted(paths_below(schema_of(SweepConfig), ""), key=lambda one: one[0].count(".")):
        keys.setdefault(path, path)
        keys.setdefault(path.removeprefix("trial."), path)
        keys.setdefault(path.rpartition(".")[2], path)
    key = keys.get(name) or next((keys[one] for one in abbreviated(name, [*keys])), None)
    if key is None or not option.startswith("--"):
        return ""
    value = given if equals else unknown[1] if len(unknown) > 1 and not unknown[1].startswith("-") else "VALUE"
    return f"; did you mean --set {key}={value}?"


STDIN = Path("-")
ADDRESSES = "http:", "https:"
"""The first part of a path that is none."""


def picture_files(paths: Sequence[Path]) -> tuple[list[Path], list[DatasetError]]:
    """Returns the files, all pictures below the folders, and STDIN, in order; and of the other paths what is wrong.

    Raises:
        DatasetError: paths were given, and none is a picture.
    """
    from cifar_tune.training.datasets.folder_scan import Scan, no_image

    found: list[Path] = []
    refused: list[DatasetError] = []
    for path in paths:
        if path.is_dir():
            scan = Scan(path)
            try:
                inside = sorted(map(Path, scan.images(str(path))))
            except DatasetError as error:
                refused.append(error)
                continue
            found += inside
            if not inside:
                refused.append(no_image(path, scan.remarks()))
            elif told := scan.remarks():
                print(f"{path}: {'; '.join(told)}", file=sys.stderr)
        elif path == STDIN or path.exists():
            found.append(path)
        elif path.parts[0] in ADDRESSES:
            address = str(path).replace(":/", "://", 1)
            refused.append(DatasetError(f"{address} is not fetched; `curl -s {address} | ...` with - for IMAGE is"))
        else:
            refused.append(DatasetError(f"{path} is not there; name a picture, or a folder of them"))
    if refused and not found:
        raise DatasetError("\n".join(map(str, refused)))
    return found, refused


def checkpoint_folder(path: Path, *, best: bool) -> Path:
    """Returns a checkpoint's or exported model's folder: `path`, or the best one of the trial or sweep that it names.

    A file of an exported model stands for itself.

    Raises:
        CheckpointError: there is none.
        ResultsError: the sweep has no completed trial.
    """
    from cifar_tune.results.reading import near_folder

    if best:
        path = best_trial(path)
    found = network_folder(path)
    if found is None:
        near = None if path.exists() else near_folder(path)
        hint = _if_pruned(path) or (f"; did you mean {near}?" if near else "")
        hint = "; with --best, its best trial is taken" if (path / TRIALS_NAME).is_file() else hint
        raise CheckpointError(f"{path} is not a checkpoint, a trial with one or an exported model{hint}")
    return found


def _if_pruned(path: Path) -> str:
    """Returns what to do about a trial whose checkpoints were deleted, empty for anything else."""
    left = (folder / TRIAL_FILE for folder in (path, path.parent / CHECKPOINTS / path.name))
    if not any(file.is_file() for file in left):
        return ""
    return f": they were pruned; `python -m cifar_tune.train {path}` trains it again"


def on_checkpoint(options: argparse.Namespace, command: Callable[[Path], int | None]) -> int | None:
    """Returns what a command returns for the folder of the checkpoint that `add_checkpoint` let name.

    Raises:
        StorageError: it is at an address that cannot be read.
        CheckpointError: as `checkpoint_folder`, and what the command raises.
    """
    named: Path | Address = options.checkpoint
    if isinstance(named, Path):
        return command(checkpoint_folder(named, best=options.best))
    root = _sweep_above(named)
    with open_for_reading(root) as folder:
        path = best_trial(folder) if options.best else folder / named.key[len(root.key) + 1 :]
        trial = path.parent if path.name in ("last", "previous", "best") else path
        trial = trial if trial.parent.name == CHECKPOINTS else trial.parent / CHECKPOINTS / trial.name
        fetch_checkpoints(trial)
        return command(checkpoint_folder(path, best=False))


def written(files: Sequence[Path]) -> str:
    """Returns what was written, as the user names it, a file a line."""
    return "Written: " + "\n         ".join(map(named, files))


def is_recorded(file: Path) -> bool:
    """Returns whether a results folder, or a checkpoint, wrote the file: it holds every default, which nobody chose."""
    return file.suffix == ".json" or (file.parent / LEDGER_NAME).exists()


def _sweep_above(named: Address) -> Address:
    """Returns the address of the sweep that a checkpoint, a trial or itself is of. Raises CheckpointError."""
    above = named
    while above.key:
        if (above / SWEEP_NAME).exists():
            return above
        above = above.parent
    raise CheckpointError(f"{named} is neither a sweep nor inside one; there is no sweep.yaml above it")


def best_trial(folder: Path) -> Path:
    """Returns the checkpoints of a sweep's best completed trial, by its first objective. Raises ResultsError."""
    from cifar_tune.analysis.ranking import ranking
    from cifar_tune.analysis.sweep_file import read_sweep_file
    from cifar_tune.results import load

    ranked = ranking(load(folder).trials, read_sweep_file(folder).metric, top=1, by_seed=True)
    if ranked.empty:
        raise ResultsError(f"{folder} has no completed trial")
    return folder / "checkpoints" / str(ranked["trial_id"].iloc[0])
