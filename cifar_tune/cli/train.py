"""`python -m cifar_tune.train FILE`: trains one trial in this process, without Ray."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import add_data, is_recorded, suggested_override
from cifar_tune.cli.exit_status import DONE, INTERRUPTED, NO_USABLE_RESULT, exit_status, parsed
from cifar_tune.errors import CheckpointError, ConfigError
from cifar_tune.layout import TRIAL_FILE

if TYPE_CHECKING:
    from rich.console import Console

    from cifar_tune.training.epochs import OpenTrial
    from cifar_tune.training.reproducibility import ComputeEnvironment
    from cifar_tune.training.trial import TrialConfig

EXAMPLES = """examples:
  python -m cifar_tune.train trials/resnet18_cifar100.yaml
  python -m cifar_tune.train sweeps/quickstart.yaml --set epochs=3 --csv curve.csv
  python -m cifar_tune.train sweeps/quickstart.yaml --set epochs=3 --resume
  python -m cifar_tune.train results/quickstart/checkpoints/<trial_id>      that trial's curve again
  python -m cifar_tune.train sweeps/quickstart.yaml --compare      is it the same experiment on every device here?

exit status: 0 done; 1 the loss is no longer finite; 2 the input is wrong; 130 interrupted after saving.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.train",
        description="Trains one trial in this process, without Ray; saves it after every epoch.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE_OR_TRIAL",
        help="a trial file, a sweep file (its `trial:`), or results/SWEEP/TRIAL_ID to train that trial again",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="replaces a value of the trial; may be repeated"
    )
    add_data(parser)
    parser.add_argument(
        "--changed-data",
        action="store_true",
        help="train a recorded trial although its data set has changed since: on the pictures that are there now",
    )
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 or mps (default: a GPU where there is one)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where its checkpoints go (default: results/trials/NAME OF FILE)"
    )
    parser.add_argument(
        "--compare",
        nargs="*",
        metavar="DEVICE[/PRECISION]",
        help="train it on each of these, such as cpu cpu/bfloat16 cuda:1, keep nothing, and say where results differ "
        "(default: one device of each kind here)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint in the output")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="also write TensorBoard's event files there")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write one row an epoch there")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parsed(command_line(), words, suggested_override)
    nothing = "interrupted before the first epoch began; nothing was written"
    return exit_status(lambda: run(options, words), interrupted=nothing)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Checks the trial, then trains it; returns the exit status.

    Raises:
        CifarTuneError: the input is wrong.
    """
    from cifar_tune.config.load import load_trial, located_in_trial
    from cifar_tune.execution.data_record import check_same_data, record_data, recorded_root
    from cifar_tune.execution.test_split import home_of
    from cifar_tune.training.check import check_trial
    from cifar_tune.training.checkpoint import recorded_environments
    from cifar_tune.training.clone_checkpoint import origin_of
    from cifar_tune.training.datasets.data_root import root_for
    from cifar_tune.training.datasets.photographs import all_remarks
    from cifar_tune.training.reproducibility import why_bits_differ
    from cifar_tune.training.storage import trial_folder

    file = trial_file(options.file)
    trial = load_trial(file, options.set, new=not (options.resume or is_recorded(file)))
    output = (options.output or Path("results", "trials", options.file.stem)).expanduser()
    home = output if options.resume else home_of(file.parent).folder
    root = root_for([trial.dataset], file, options.data, recorded_root(home))
    try:
        check_trial(trial, trial.dataset.info(root), begun=options.resume)
    except ConfigError as error:
        raise located_in_trial(error, file, options.set) from None
    if options.compare is not None:
        return compare(trial, root, options.compare)
    check_output(output, resume=options.resume)
    recorded = recorded_environments(output if options.resume else trial_folder(file.parent))
    compute_as_recorded(recorded, options.device)
    trial.dataset.verify(root)
    if not options.changed_data:
        check_same_data(home, [trial.dataset], root, "train on those that are there now: --changed-data")
    trial.dataset.build(root)

    from cifar_tune.cli.console import LastingConsole
    from cifar_tune.training.epochs import open_trial

    console = LastingConsole(soft_wrap=True)
    if (origin := origin_of(file.parent)) is not None and not options.resume:
        began = f"it began from the checkpoint of {origin[0]} after epoch {origin[1]}"
        console.print(f"{began}; here it begins with fresh weights, so that its curve is another", highlight=False)
    for line in all_remarks([trial.dataset], root):
        console.print(line, highlight=False)
    opened = open_trial(trial, root=root, device=options.device, checkpoints=output)
    if recorded and not options.resume and not options.set:
        now = opened.state.environments[-1]
        if (why := why_bits_differ(recorded, now, deterministic=trial.deterministic)) is not None:
            console.print(f"not bit for bit the curve that {file} recorded: {why}", highlight=False)
    again = shlex.join([word for word in words if word != "--resume"])
    if opened.folder is not None:
        make_writable(opened.folder.path)
        record_data(output, [trial.dataset], root)
    return train(opened, options, console, f"python -m cifar_tune.train {again}")


def compare(trial: TrialConfig, root: Path, words: Sequence[str]) -> int:
    """Trains the trial in each place and says how the places differ; returns the exit status."""
    from cifar_tune.cli.console import LastingConsole
    from cifar_tune.training.device_comparison import findings, kinds_present, place_of, table
    from cifar_tune.training.loop import Diverged

    places = [place_of(word) for word in words] or kinds_present()
    trial.dataset.verify(root)
    trial.dataset.build(root)
    console = LastingConsole(soft_wrap=True)
    found = []
    try:
        for one in findings(trial, root, places):
            console.print(f"trained on {one.name} in {one.precision}, seed {one.seed}", highlight=False)
            found.append(one)
    except Diverged as error:
        console.print(f"diverged: {error}", highlight=False)
        return NO_USABLE_RESULT
    console.print(table(found), highlight=False)
    return DONE


def train(opened: OpenTrial, options: argparse.Namespace, console: Console, command: str) -> int:
    """Trains to the end and says what came of it; returns the exit status.

    command: that starts this trial.

    Raises:
        CheckpointError: no checkpoint can be written.
    """
    from cifar_tune.results.image_worth import FEW_IMAGES, image_worth
    from cifar_tune.tracking.event_files import EventFile
    from cifar_tune.training.logs import write_csv
    from cifar_tune.training.loop import Diverged
    from cifar_tune.training.progress import beginning, ending, saved, shown

    history = opened.state.history
    if options.csv:
        write_csv(options.csv, history)
    console.print(beginning(opened), highlight=False)
    if 0 < (images := len(opened.data.validation)) < FEW_IMAGES:
        console.print(image_worth(images), highlight=False)
    with ExitStack() as stack:
        begun = options.tensorboard is not None and any(options.tensorboard.glob("*tfevents*"))
        board = stack.enter_context(EventFile(options.tensorboard)) if options.tensorboard else None
        if board is not None and not begun:
            for metrics in history:
                board.write(metrics.epoch, asdict(metrics))
        try:
            for metrics in shown(opened, console):
                if options.csv:
                    write_csv(options.csv, history)
                if board is not None:
                    board.write(metrics.epoch, asdict(metrics))
        except Diverged as error:
            console.print(f"diverged: {error}", highlight=False)
            return NO_USABLE_RESULT
        except KeyboardInterrupt:
            resume = " --resume" if opened.state.epoch else ""
            console.print(f"interrupted; {saved(opened)}. Go on with:\n  {command}{resume}", highlight=False)
            return INTERRUPTED
    console.print(ending(opened), highlight=False)
    return DONE


def compute_as_recorded(recorded: Sequence[ComputeEnvironment], device: str) -> None:
    """Takes the number of threads that the trial was computed with, because a CPU's results depend on it."""
    import torch

    from cifar_tune.training.device import find_device

    if recorded and recorded[-1].threads and find_device(device).type == recorded[-1].device == "cpu":
        torch.set_num_threads(recorded[-1].threads)


def trial_file(path: Path) -> Path:
    """Returns the file that describes the trial: `path`, or the one in the checkpoints of the trial that it names."""
    if path.is_file():
        return path
    folders = [path, path.parent / "checkpoints" / path.name]
    places = [folder / part / TRIAL_FILE for folder in folders for part in ("last", "previous", "best", "")]
    return next((place for place in places if place.is_file()), path)


def check_output(output: Path, *, resume: bool) -> None:
    """Returns if the output folder is free, or holds what is to be resumed. Raises CheckpointError."""
    from cifar_tune.training.manifest import has_weights_alone

    holds_a_trial = any((output / name).exists() for name in ("last", "previous"))
    if holds_a_trial and not resume:
        raise CheckpointError(
            f"{output} already holds a trial; --resume goes on with it, --output DIR starts another elsewhere"
        )
    if resume and not holds_a_trial:
        raise CheckpointError(f"{output} holds no checkpoint to resume from; leave out --resume to start")
    if resume and has_weights_alone(output / "last"):
        raise CheckpointError(
            f"{output / 'last'} has the weights alone: the optimizer's state was deleted when the trial had ended, so "
            "training cannot go on from it; --output DIR trains it anew elsewhere"
        )


def make_writable(output: Path) -> None:
    """Makes the output folder. Raises CheckpointError where nothing can be written there."""
    output.mkdir(parents=True, exist_ok=True)
    if not os.access(output, os.W_OK):
        raise CheckpointError(f"{output} cannot be written to; --output DIR names another folder")
