"""`python -m cifar_tune.report RESULTS`: the findings of a sweep, in the terminal and as a page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import add_results, count, results_place, written
from cifar_tune.cli.exit_status import DONE, NO_USABLE_RESULT, exit_status, parsed
from cifar_tune.cli.results_place import open_for_reading

if TYPE_CHECKING:
    from rich.console import Console

    from cifar_tune.analysis.reports.overview import Choice

EXAMPLES = """examples:
  python -m cifar_tune.report results/quickstart
  python -m cifar_tune.report results/quickstart --x optimizer.lr --y batch_size
  python -m cifar_tune.report results/quickstart --metric validation_loss --aggregate median --at-epoch 3
  python -m cifar_tune.report results/quickstart --compare results/other
  python -m cifar_tune.report results/quickstart --why t0007

Trials are compared at an equal epoch: by default the last one that all completed trials reached. At an early
one (--at-epoch 1) the trials count too that were stopped later.

exit status: 0 done; 1 the sweep ended without a usable trial; 2 the input is wrong.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.report",
        description="Prints the best trials and a heat map; writes them and more into report/. Works mid-sweep, too.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_results(parser)
    parser.add_argument("--x", metavar="NAME", help="parameter across, such as optimizer.lr; else a searched one")
    parser.add_argument("--y", metavar="NAME", help="parameter down, such as model.name; else an axis of the grid")
    parser.add_argument("--metric", metavar="NAME", help="any numeric column of trials.parquet; else the objective")
    parser.add_argument(
        "--aggregate", choices=["best", "mean", "median"], default="best", help="of a cell's trials (default: best)"
    )
    parser.add_argument("--at-epoch", type=int, metavar="N", help="compare trials as they stood at this epoch")
    parser.add_argument("--top", type=count, default=10, metavar="N", help="trials in the ranking (default: 10)")
    parser.add_argument(
        "--compare", type=results_place, metavar="RESULTS", help="another sweep to draw beside this one"
    )
    parser.add_argument("--why", metavar="TRIAL", help="only say what became of this trial, against whom and why")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Reports what the arguments ask for; returns the exit status. Raises what `report` raises."""
    from cifar_tune.analysis.reports.overview import Choice
    from cifar_tune.cli.console import EndingConsole

    choice = Choice(options.x, options.y, options.metric, options.aggregate, options.at_epoch, options.top)
    beside = nullcontext() if options.compare is None else open_for_reading(options.compare)
    with open_for_reading(options.results) as folder, beside as other:
        return report(folder, EndingConsole(), choice, options.why, other)


def report(
    folder: Path, console: Console, choice: Choice, trial_id: str | None = None, other: Path | None = None
) -> int:
    """Prints and writes the report of a results folder; returns the exit status.

    trial_id: prints what became of this trial instead. other: a results folder to compare it with.

    Raises:
        CifarTuneError: the folder is not a sweep, or the choice names what it does not have.
    """
    from cifar_tune.analysis.reports.overview import load_told, print_comparison, print_overview
    from cifar_tune.analysis.reports.write_report import write_report
    from cifar_tune.analysis.sweep_file import read_sweep_file
    from cifar_tune.analysis.why import why

    frames = load_told(folder, console)
    beside = load_told(other, console) if other else None
    sweep = read_sweep_file(folder)
    metric = choice.metric or sweep.metric
    if trial_id is not None:
        told = why(frames.trials, frames.epochs, trial_id, metric, sweep.objectives)
        console.print(told, highlight=False, soft_wrap=True)
        return DONE
    print_overview(console, folder, *frames, choice)
    if beside is not None:
        print_comparison(console, frames, beside, metric)
    files = write_report(folder, *frames, choice, beside)
    console.print(f"\n{written(files)}", highlight=False, soft_wrap=True)
    trials = frames.trials
    ended = not trials["status"].isin(["running", "interrupted"]).any()
    usable = trials["validation_accuracy"].notna().any()
    return NO_USABLE_RESULT if len(trials) and ended and not usable else DONE
