"""`python -m cifar_tune.sweep FILE`: runs the trials of a sweep."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import add_address, add_data, is_recorded, results_place, suggested_override
from cifar_tune.cli.exit_status import DONE, INTERRUPTED, NO_USABLE_RESULT, SAVED, exit_status, parsed
from cifar_tune.cli.results_place import folder_of, open_for_writing
from cifar_tune.errors import ConfigError, SurroundingsError

if TYPE_CHECKING:
    from cifar_tune.config.sweep_config import SweepConfig
    from cifar_tune.execution.cluster.devices import Machine
    from cifar_tune.execution.remaining import Remaining
    from cifar_tune.execution.results_folder import Mode
    from cifar_tune.search.audit import Arrivals
    from cifar_tune.storage.address import Address

MODULE = "cifar_tune.sweep"
PROGRAM = f"python -m {MODULE}"

EXAMPLES = """examples:
  python -m cifar_tune.sweep sweeps/quickstart.yaml
  python -m cifar_tune.sweep sweeps/quickstart.yaml --plan
  python -m cifar_tune.sweep sweeps/quickstart.yaml --set trial.epochs=3 --set trials_per_study=4 --fresh
  python -m cifar_tune.sweep sweeps/quickstart.yaml --resume

exit status: 0 done; 1 no trial gave a usable result; 2 the input is wrong; 130 interrupted after saving.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Runs the trials of a sweep file on every core and GPU of this machine, or of a Ray cluster.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a sweep file, such as sweeps/quickstart.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="replaces a value of the file; may be repeated"
    )
    parser.add_argument("--plan", action="store_true", help="print what would run, how long, and whether it fits")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--resume", action="store_true", help="finish an interrupted sweep: trials go on from their last whole epoch"
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="with --resume: train the trials again that failed by themselves, from their last checkpoint",
    )
    mode.add_argument(
        "--extend",
        action="store_true",
        help="go on with a higher trials_per_study, more epochs or other ranges; the trials that are there stay",
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="with --extend and more epochs: train the completed trials anew under the longer schedule, in new rows",
    )
    mode.add_argument(
        "--fresh", action="store_true", help="start over; an older results folder is renamed, nothing is deleted"
    )
    parser.add_argument(
        "--results",
        type=results_place,
        metavar="PLACE",
        help="the results folder itself, or its address, s3://BUCKET/X or gs://BUCKET/X (default: results/NAME)",
    )
    add_data(parser)
    add_address(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = command_line()
    options = parsed(parser, words, suggested_override)
    if options.restart and not options.extend:
        parser.error("--restart goes with --extend and a higher trial.epochs")
    if options.retry_failed and not options.resume:
        parser.error("--retry-failed goes with --resume")
    return exit_status(lambda: run(options, words), interrupted=SAVED)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Checks everything that can be checked, then runs or plans the sweep; returns the exit status.

    Raises:
        CifarTuneError: the input is wrong.
    """
    from cifar_tune.cli.console import LastingConsole
    from cifar_tune.config.load import load_sweep, located
    from cifar_tune.execution.checks import check_data, check_here, check_trials, datasets_of, prepare_data
    from cifar_tune.execution.cluster.cluster import CLIENT, address_of, check_address
    from cifar_tune.execution.cluster.devices import this_machine
    from cifar_tune.execution.data_record import check_same_data, recorded_root
    from cifar_tune.training.datasets.data_root import root_for

    continued = options.resume or options.extend
    sweep = load_sweep(options.file, options.set, new=not (continued or is_recorded(options.file)))
    address = address_of(options.address)
    if address is not None:
        check_address(address)
        if address.startswith(CLIENT):
            return _run_on_head(options, words, address)
    place = options.results or Path("results", sweep.name)
    remembered = recorded_root(folder_of(place)) if continued else None
    root = root_for(datasets_of(sweep), options.file, options.data, remembered)
    machine = this_machine()
    try:
        if address is None:
            check_here(sweep, root, machine)
        else:
            check_trials(sweep, root)
        _check_search(sweep, root, folder_of(place), options)
    except ConfigError as error:
        raise located(error, options.file, options.set) from None
    if options.plan:
        print(_plan(sweep, place, _mode(options), root=root, machine=machine, address=address))
        return DONE
    from cifar_tune.execution.cluster.verification import verified_cluster
    from cifar_tune.execution.results_folder import as_begun, check_results

    mode = _mode(options)
    with open_for_writing(place) as folder:
        check_results(folder, mode)
        sweep = as_begun(folder, asked := sweep, mode)
        for key in [key for key in ("scheduler", "trial") if getattr(sweep, key) != getattr(asked, key)]:
            kept = {"scheduler": "scheduler.grace_epochs", "trial": "trial.dataset.draw"}[key]
            print(f"{kept} stays what the sweep was begun with")
        check_data(sweep, root)
        if continued:
            check_same_data(folder, datasets_of(sweep), root, "begin a new sweep: another `name`, or --fresh")
        with verified_cluster(sweep, folder=folder, root=root, machine=machine, address=address):
            names = ", ".join(sorted({dataset.name for dataset in datasets_of(sweep)}))
            LastingConsole().print(f"preparing the images of {names} ...", highlight=False, soft_wrap=True)
            prepare_data(sweep, root)
            try:
                return _train(sweep, folder, mode, options, root=root, machine=machine, address=address, words=words)
            except SurroundingsError as error:
                raise SurroundingsError(f"{error}. When it is mended, go on:\n  {resuming(words)}") from error


def _run_on_head(options: argparse.Namespace, words: Sequence[str], address: str) -> int:
    """Lets the head of a cluster that this machine is not a node of run the same command; returns its exit status.

    Raises:
        ClusterError: it cannot; or a path would mean another place there.
    """
    from cifar_tune.execution.cluster.head import check_paths, run_on_head

    check_paths(address, [] if options.plan else [("--results", options.results)], [("--data", options.data)])
    name = options.file.name
    there = [name if word == str(options.file) else word for word in words]
    text = options.file.read_text(encoding="utf-8")
    return run_on_head([MODULE, *there], address=address, files={name: text})


def _mode(options: argparse.Namespace) -> Mode:
    if options.extend:
        return "restart" if options.restart else "extend"
    return "resume" if options.resume else "fresh" if options.fresh else "new"


def _plan(
    sweep: SweepConfig, place: Path | Address, mode: Mode, *, root: Path, machine: Machine, address: str | None
) -> str:
    """Returns the plan of a new sweep, or of what is left of one that is there. Raises ResultsError."""
    from cifar_tune.execution.plan import plan
    from cifar_tune.execution.remaining import remaining
    from cifar_tune.execution.results_folder import CONTINUING, as_begun, check_results, check_same
    from cifar_tune.storage.folders import fetched

    left, folder = None, folder_of(place)
    if mode in CONTINUING:
        with fetched(place) as folder:
            check_results(folder, mode)
            sweep = as_begun(folder, sweep, mode)
            check_same(folder, sweep, mode)
            left = remaining(sweep, folder, restart=mode == "restart")
    if address is not None:
        return _cluster_plan(sweep, root, machine, address, left)
    return plan(sweep, root=root, folder=folder, machine=machine, left=left, tell=_tell_aside)


def _tell_aside(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def _cluster_plan(sweep: SweepConfig, root: Path, machine: Machine, address: str, left: Remaining | None) -> str:
    from tempfile import TemporaryDirectory

    from cifar_tune.execution.cluster.cluster import connected
    from cifar_tune.execution.cluster.nodes import Cluster, NodeProbeRequest
    from cifar_tune.execution.plan import cluster_plan

    with TemporaryDirectory() as folder, connected(machine, address=address, log=Path(folder, "ray.log")):
        return cluster_plan(sweep, Cluster(NodeProbeRequest())(), root, left)


def _check_search(sweep: SweepConfig, root: Path, folder: Path, options: argparse.Namespace) -> None:
    """Raises ConfigError if no study could begin, or an earlier sweep cannot be learnt from."""
    if sweep.constraints is None and not sweep.warm_start:
        return
    from cifar_tune.search.constraints import check_constraints, limits_of
    from cifar_tune.search.warm_start import read_warm_start

    check_constraints(sweep, root)
    if options.plan or not (options.resume or options.extend):
        read_warm_start(sweep, limits_of(sweep, root), folder)


def _train(
    sweep: SweepConfig,
    folder: Path,
    mode: Mode,
    options: argparse.Namespace,
    *,
    root: Path,
    machine: Machine,
    address: str | None,
    words: Sequence[str],
) -> int:
    from cifar_tune.cli.console import LastingConsole
    from cifar_tune.execution.checks import datasets_of
    from cifar_tune.execution.data_record import record_data
    from cifar_tune.execution.environment import environment, record_end, record_environment
    from cifar_tune.execution.interruption import Interruption
    from cifar_tune.execution.results_folder import results_of, retry_failed
    from cifar_tune.execution.sweep_trials import train_sweep
    from cifar_tune.layout import ENVIRONMENT_NAME, JOURNAL_NAME
    from cifar_tune.search.constraints import limits_of
    from cifar_tune.search.search import Search
    from cifar_tune.search.studies.journal import Journal
    from cifar_tune.search.trial_budget import MOST_REFUSED
    from cifar_tune.search.warm_start import note_warm_start
    from cifar_tune.training.datasets.photographs import all_remarks

    console = LastingConsole()
    tell = partial(console.print, soft_wrap=True, highlight=False)
    datasets = datasets_of(sweep)
    for line in all_remarks(datasets, root):
        tell(line)
    with Interruption() as interruption, results_of(folder, sweep, mode, tell) as store:
        record_data(folder, datasets, root)
        record_environment(folder / ENVIRONMENT_NAME, environment(machine, f"{PROGRAM} {shlex.join(words)}"))
        if options.retry_failed:
            tell(f"trials to be trained again: {', '.join(retry_failed(store)) or 'none has failed'}")
        limits = limits_of(sweep, root)
        for line in (line for donor in note_warm_start(sweep, store, limits) for line in donor.lines()):
            tell(line)
        search = Search(sweep, store, limits, Journal(folder / JOURNAL_NAME, store.patience))
        train_sweep(sweep, search, store, console, root, machine, address, interruption, _guard_line)
        for study, reason in search.exhausted_studies().items():
            told = f"study {study} ended early: {MOST_REFUSED} proposals in a row were refused, the last for this:"
            tell(f"{told} {reason}")
        usable = search.progress().usable
        left = not search.exhausted or bool(search.unfinished())
        met = interruption.time_is_over or search.ended_by
        if met is not None and not interruption.requested:
            record_end(folder / ENVIRONMENT_NAME, met.told)
            tell(f"ended by {met.told}; a larger limit with --resume goes on")
    if interruption.requested and left:
        print(f"interrupted; every finished epoch is saved. To go on:\n  {resuming(words)}", file=sys.stderr)
        return INTERRUPTED
    from cifar_tune.analysis.reports.summary import print_summary
    from cifar_tune.storage.folders import named

    print_summary(folder, console, named(folder))
    return DONE if usable or interruption.time_is_over else NO_USABLE_RESULT


def _guard_line(arrivals: Arrivals) -> str | None:
    from cifar_tune.analysis.audit import judge_rung
    from cifar_tune.analysis.audit_text import audit_line

    judged = judge_rung(*arrivals)
    return audit_line(judged) if judged.audited else None


def resuming(words: Sequence[str]) -> str:
    """Returns the command that goes on where the one with these words stopped."""
    kept = [word for word in words if word not in ("--fresh", "--extend", "--restart", "--resume", "--retry-failed")]
    return f"{PROGRAM} {shlex.join([*kept, '--resume'])}"
