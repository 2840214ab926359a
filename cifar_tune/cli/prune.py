"""`python -m cifar_tune.prune RESULTS`: which checkpoints nobody needs any more; deletes them when told to."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import add_results, count
from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.cli.results_place import open_for_reading, open_for_writing

if TYPE_CHECKING:
    from cifar_tune.results import Frames
    from cifar_tune.training.retention import Kept, Removal

PROGRAM = "python -m cifar_tune.prune"

TOP = 5
"""As many as `confirm` takes unless it is told."""

SHOWN = 6
"""Names of trials in a line; the rest are counted."""

EXAMPLES = """examples:
  python -m cifar_tune.prune results/quickstart            what it would free; deletes nothing
  python -m cifar_tune.prune results/quickstart --yes      deletes it
  python -m cifar_tune.prune results/quickstart --top 1 --yes

Kept are the weights of the trials that were confirmed and of their retrainings, of the best completed ones (with
several objectives: of the Pareto front), and everything of trials that have not ended or have failed, which --resume
goes on with. All other checkpoints go. Tables, curves and reports stay, and so does the configuration of each trial:
python -m cifar_tune.train results/quickstart/TRIAL_ID trains one again. Should the sweep be extended, a pruned trial
that is to train further begins with its first epoch.

exit status: 0 done; 2 the input is wrong.
"""


@dataclass(frozen=True)
class Verdict:
    """What becomes of a trial's checkpoints, and why. reason: empty where they are deleted."""

    kept: Kept
    reason: str = ""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Says which checkpoints of a sweep nobody needs any more, and deletes them when told to.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_results(parser)
    parser.add_argument(
        "--top", type=count, default=TOP, metavar="N", help=f"best completed trials that are kept (default: {TOP})"
    )
    parser.add_argument("--yes", action="store_true", help="delete; without it nothing is changed")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: run(options))


def run(options: argparse.Namespace) -> None:
    """Says what is to be deleted, and deletes it if it may.

    Raises:
        ResultsError: the folder is not a sweep, or checkpoints are to be deleted while a sweep or `confirm` runs in it.
        StorageError: an address cannot be read or written.
    """
    from cifar_tune.training.retention import freed_bytes

    if not options.yes:
        with open_for_reading(options.results) as folder:
            removals = _told(folder, options.top)
        if removals:
            command = shlex.join([*PROGRAM.split(), str(options.results), "--top", str(options.top), "--yes"])
            print(f"Nothing was deleted. To delete it, for good:\n  {command}")
        return
    with open_for_writing(options.results) as folder, _nobody_else(folder):
        removals = _told(folder, options.top)
        freed = freed_bytes(removals)
        for one in removals:
            one.carry_out()
    if removals:
        print(f"Deleted: {_size(freed)}")


@contextmanager
def _nobody_else(folder: Path) -> Iterator[None]:
    """Keeps out sweeps and confirmations. Raises ResultsError where one is at work."""
    from cifar_tune.layout import CONFIRM_FOLDER
    from cifar_tune.results.lock import DriverLock

    with ExitStack() as held:
        for one in (folder, folder / CONFIRM_FOLDER):
            if one.is_dir():
                lock = DriverLock(one)
                lock.acquire()
                held.callback(lock.release)
        yield


def _told(folder: Path, top: int) -> list[Removal]:
    """Prints what stays and what goes; returns what goes. Raises ResultsError."""
    from cifar_tune.layout import CHECKPOINTS, CONFIRM_FOLDER
    from cifar_tune.results import load
    from cifar_tune.storage.folders import named, place_of
    from cifar_tune.training.retention import checkpoint_files, freed_bytes, removal

    frames = load(folder)
    searched = verdicts(folder, frames, top)
    removals: list[tuple[Verdict, Removal]] = []
    for place, judged in (
        (place_of(folder) / CHECKPOINTS, searched),
        (place_of(folder) / CONFIRM_FOLDER / CHECKPOINTS, _of_retrainings(folder)),
    ):
        files = checkpoint_files(place)
        removals += [
            (judged[trial_id], removal(place / trial_id, files[trial_id], judged[trial_id].kept))
            for trial_id in files
            if trial_id in judged
        ]
    freed = freed_bytes([one for _, one in removals])
    print(f"{named(folder)}: {len(removals)} trials and retrainings have checkpoints; {_size(freed)} can be freed")
    for reason in dict.fromkeys(verdict.reason for verdict, _ in removals):
        names = [one.trial.name for verdict, one in removals if verdict.reason == reason]
        freed = freed_bytes([one for verdict, one in removals if verdict.reason == reason])
        print(
            f"  {'keeps  ' if reason else 'deletes'}  {_listed(names)}: {reason or 'all checkpoints'}; {_frees(freed)}"
        )
    return [one for _, one in removals if one.files]


def verdicts(folder: Path, frames: Frames, top: int) -> dict[str, Verdict]:
    """Returns what becomes of each trial of the search. top: best completed trials that are kept."""
    from cifar_tune.analysis.pareto import pareto
    from cifar_tune.analysis.ranking import furthest, ranking
    from cifar_tune.analysis.sweep_file import read_sweep_file
    from cifar_tune.results.columns import COMPLETED, DIVERGED, STOPPED

    sweep, trials = read_sweep_file(folder), frames.trials
    confirmed = set(frames.confirmations["trial_id"].astype(str))
    best = ranking(trials, sweep.metric, top=top, by_seed=True)
    if best.empty:
        best = furthest(trials, sweep.metric, top=top)
    kept = set(best["trial_id"].astype(str))
    if sweep.objectives:
        kept |= set(pareto(trials, sweep.objectives)["trial_id"].astype(str))
    found = {}
    for trial_id, status in zip(trials["trial_id"].astype(str), trials["status"].astype(str), strict=True):
        if status not in (COMPLETED, STOPPED, DIVERGED):
            found[trial_id] = Verdict("everything", "not ended, or failed: --resume may go on with it")
        elif trial_id in confirmed:
            found[trial_id] = Verdict("weights", "confirmed; the weights")
        elif trial_id in kept:
            found[trial_id] = Verdict("weights", "among the best; the weights")
        else:
            found[trial_id] = Verdict("nothing")
    return found


def _of_retrainings(folder: Path) -> dict[str, Verdict]:
    """Returns what becomes of the retrainings by `confirm`: what the test split has scored is kept."""
    from cifar_tune.layout import CONFIRM_FOLDER
    from cifar_tune.results import load
    from cifar_tune.results.columns import COMPLETED, DIVERGED
    from cifar_tune.results.confirmations import ledger_of

    if not ledger_of(folder).is_file():
        return {}
    trials = load(folder / CONFIRM_FOLDER).trials
    over = trials["status"].isin([COMPLETED, DIVERGED])
    verdicts = (
        Verdict("weights", "confirmed; the weights") if one else Verdict("everything", "not ended: confirm goes on")
        for one in over
    )
    return dict(zip(trials["trial_id"].astype(str), verdicts, strict=True))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _frees(freed: int) -> str:
    return f"frees {_size(freed)}" if freed else "nothing to free"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
