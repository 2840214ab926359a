"""`python -m cifar_tune.track RESULTS --to TRACKER`: a sweep in TensorBoard, MLflow or Weights & Biases."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import add_results
from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.cli.results_place import open_for_reading
from cifar_tune.errors import TrackingError
from cifar_tune.storage.folders import as_named, named

if TYPE_CHECKING:
    from cifar_tune.results import Frames
    from cifar_tune.tracking.following import Count, Following
    from cifar_tune.tracking.tracker import Tracker

TRACKERS = ("tensorboard", "mlflow", "wandb")
POLL_SECONDS = 5.0
"""Between two looks at a sweep that runs; an epoch takes longer as a rule."""

EXAMPLES = """examples:
  python -m cifar_tune.track results/quickstart --to tensorboard
  python -m cifar_tune.track results/quickstart --to mlflow --place sqlite:///mlflow.db
  WANDB_MODE=offline python -m cifar_tune.track results/quickstart --to wandb

Works while the sweep or its `confirm` runs, after it, and on a copy of the folder; while it runs, this goes on until
it ends. Each trial is a run, and so is each confirmation, with its validation and test scores. What was sent
stands in RESULTS/tracking/, so that the same command sends what is new since. A tracker that fails harms nothing: the
sweep does not know of it.

exit status: 0 done; 2 the input is wrong, or the tracker does not take it; 130 ended by Ctrl-C.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.track",
        description="Sends a sweep's trials, epoch by epoch, to another tracker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_results(parser)
    parser.add_argument("--to", required=True, choices=TRACKERS, help="the tracker")
    parser.add_argument(
        "--place",
        help="tensorboard: folder (default: RESULTS/tensorboard); mlflow: tracking URI (default: MLFLOW_TRACKING_URI, "
        "else MLflow's own); wandb: project (default: WANDB_PROJECT, else cifar_tune)",
    )
    parser.add_argument("--once", action="store_true", help="send what is there and end, though the sweep runs")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: run(options))


def run(options: argparse.Namespace) -> None:
    """Sends what the arguments ask for. Raises what `track` raises."""
    with open_for_reading(options.results, following=not options.once) as folder:
        track(folder, options.to, options.place, once=options.once)


def track(folder: Path, name: str, place: str | None, *, once: bool = False) -> None:
    """Sends a results folder, and what comes until its sweep ends.

    Raises:
        CifarTuneError: the folder is not a sweep, or the tracker does not take it.
    """
    from cifar_tune.analysis.status_line import sweep_name
    from cifar_tune.results import load
    from cifar_tune.tracking.following import Following
    from cifar_tune.tracking.record import SentRecord

    tracker = open_tracker(name, place, folder, sweep_name(folder, load(folder).trials))
    following = Following(tracker, SentRecord(folder, name, tracker.place))
    print(f"{named(folder)} to {name}, {as_named(tracker.place)}", flush=True)
    try:
        while not once and running(folder):
            attempt(following, load(folder))
            time.sleep(POLL_SECONDS)
        tell(following.send(load(folder)))
    finally:
        following.close()
    if tracker.shown_by:
        print(tracker.shown_by)


def open_tracker(name: str, place: str | None, folder: Path, sweep: str) -> Tracker:
    """The tracker of that name.

    Raises:
        TrackingError: its package is not installed, or it does not answer.
    """
    match name:
        case "tensorboard":
            from cifar_tune.tracking.event_files import TensorBoard

            return TensorBoard(Path(place) if place else folder / "tensorboard")
        case "mlflow":
            from cifar_tune.tracking.mlflow_runs import Mlflow

            return Mlflow(place, sweep)
        case _:
            from cifar_tune.tracking.wandb_runs import Wandb

            return Wandb(place, folder)


def running(folder: Path) -> bool:
    """True while a driver, of the search or of `confirm`, writes the folder."""
    from cifar_tune.layout import CONFIRM_FOLDER
    from cifar_tune.results.lock import read_driver

    drivers = (read_driver(folder), read_driver(folder / CONFIRM_FOLDER))
    return any(driver is not None and driver.alive for driver in drivers)


def attempt(following: Following, frames: Frames) -> None:
    """Sends what is new; where the tracker fails, says so and leaves it for the next time."""
    try:
        tell(following.send(frames), quiet=True)
    except TrackingError as error:
        print(f"{error}; trying again", file=sys.stderr, flush=True)


def tell(count: Count, *, quiet: bool = False) -> None:
    """Prints what was sent. quiet: only if anything was."""
    if count.trials or count.confirmations:
        confirmed = f", {count.confirmations} confirmations" if count.confirmations else ""
        print(f"{count.trials} trials, {count.epochs} new epochs{confirmed}", flush=True)
    elif not quiet:
        print("nothing new (tracking/ in the results folder says what was sent; without it all is sent again)")
