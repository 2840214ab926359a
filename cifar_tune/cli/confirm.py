"""`python -m cifar_tune.confirm RESULTS`: what the best configurations give with fresh seeds, and on the test split."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.cli.arguments import add_address, add_data, add_results, count
from cifar_tune.cli.exit_status import DONE, INTERRUPTED, NO_USABLE_RESULT, SAVED, exit_status, parsed
from cifar_tune.cli.results_place import open_for_writing
from cifar_tune.errors import AnalysisError, ResultsError, SurroundingsError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from cifar_tune.config.sweep_config import SweepConfig
    from cifar_tune.results import Frames
    from cifar_tune.search.candidates import Retraining

MODULE = "cifar_tune.confirm"
PROGRAM = f"python -m {MODULE}"

TOP, TOP_OF_CELL, SEEDS = 5, 1, 5

EXAMPLES = """examples:
  python -m cifar_tune.confirm results/quickstart
  python -m cifar_tune.confirm results/quickstart --top 2 --seeds 3
  python -m cifar_tune.confirm results/quickstart --per-cell
  python -m cifar_tune.confirm results/quickstart --top 1 --validation train

By default the validation images stay held out, as in the search: only so is there a fresh validation score to choose
the best by and to hold against the search's. --validation train trains on them too, as one would for use; then
there is the test score alone.

Killed or interrupted, the same command goes on with what is left. What is in confirmations.parquet already is
answered from there: the test split is opened once for a configuration, seed and way of training.

exit status: 0 done; 1 no retraining gave a score; 2 the input is wrong; 130 interrupted after saving.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Retrains the best configurations of a sweep with fresh seeds and opens the test split for them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_results(parser)
    parser.add_argument(
        "--top",
        type=count,
        metavar="N",
        help=f"configurations, the best completed ones; of several objectives spread along the Pareto front "
        f"(default: {TOP}; with --per-cell {TOP_OF_CELL} a cell)",
    )
    parser.add_argument("--seeds", type=count, default=SEEDS, metavar="N", help=f"fresh seeds (default: {SEEDS})")
    parser.add_argument("--per-cell", action="store_true", help="the best of every cell of the grid")
    parser.add_argument(
        "--validation",
        choices=["keep", "train"],
        default="keep",
        help="keep: train on the training split alone, as the search did (default); train: on validation images too",
    )
    add_data(parser)
    add_address(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parsed(command_line(), words)
    return exit_status(lambda: run(options, words), interrupted=SAVED)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Confirms here or on the head of a cluster; returns the exit status. Raises what `confirm` raises."""
    from cifar_tune.execution.cluster.cluster import CLIENT, address_of, check_address

    address = address_of(options.address)
    if address is not None:
        check_address(address)
        if address.startswith(CLIENT):
            return _run_on_head(options, words, address)
    with open_for_writing(options.results) as folder:
        return confirm(folder, options, words, address)


def confirm(folder: Path, options: argparse.Namespace, words: Sequence[str], address: str | None) -> int:
    """Checks everything that can be checked, retrains what the table does not answer; returns the exit status.

    Raises:
        CifarTuneError: the input is wrong.
    """
    from cifar_tune.analysis.confirmation import rows_of_confirm
    from cifar_tune.analysis.reports.overview import print_confirmations
    from cifar_tune.analysis.sweep_file import read_sweep_file
    from cifar_tune.cli.console import LastingConsole
    from cifar_tune.execution.checks import check_resources
    from cifar_tune.execution.cluster.devices import this_machine
    from cifar_tune.execution.cluster.verification import verified_cluster
    from cifar_tune.execution.confirmation_search import Confirming
    from cifar_tune.execution.confirmation_trials import check_data, retrain
    from cifar_tune.execution.data_record import check_same_data, recorded_root
    from cifar_tune.execution.environment import environment, record_environment
    from cifar_tune.execution.interruption import Interruption
    from cifar_tune.layout import CONFIRMATIONS_NAME, ENVIRONMENT_NAME
    from cifar_tune.results import load
    from cifar_tune.results.confirmations import retrainings_store
    from cifar_tune.storage.folders import named
    from cifar_tune.training.datasets.data_root import data_root

    console = LastingConsole()
    frames = _opened(folder, console)
    sweep, wanted, reason = _wanted(folder, frames, options)
    root = data_root(options.data, recorded_root(folder))
    machine = this_machine()
    if address is None:
        check_resources(sweep, machine)
    check_data(wanted, root)
    check_same_data(
        folder,
        dict.fromkeys(one.trial.dataset for one in wanted),
        root,
        "begin a new sweep on those that are there now: its scores and its confirmation are then of the same images",
    )
    with (
        verified_cluster(sweep, folder=folder, root=root, machine=machine, address=address),
        Interruption() as interruption,
        retrainings_store(folder, sweep.name) as store,
    ):
        current = environment(machine, f"{PROGRAM} {shlex.join(words)}")
        confirming = Confirming(wanted, store, folder, reason=reason, commit=current["git"])
        _announce(console, wanted, confirming.answered)
        if confirming.unfinished() or not confirming.exhausted:
            record_environment(store.folder / ENVIRONMENT_NAME, current)
            try:
                retrain(sweep, confirming, store, console, root, machine, address, interruption)
            except SurroundingsError as error:
                raise SurroundingsError(
                    f"{error}. When it is mended, go on:\n  {PROGRAM} {shlex.join(words)}"
                ) from error
    confirming.publish()
    frames = load(folder)
    print_confirmations(console, frames.confirmations, frames.trials, read_sweep_file(folder), _metric(sweep))
    if interruption.requested and (confirming.unfinished() or not confirming.exhausted):
        print(
            f"interrupted; every finished epoch is saved. To go on:\n  {PROGRAM} {shlex.join(words)}", file=sys.stderr
        )
        return INTERRUPTED
    told = f"\nOne row a configuration and seed: {named(folder / CONFIRMATIONS_NAME)}"
    report = shlex.join(["python", "-m", "cifar_tune.report", named(folder)])
    console.print(f"{told}\n{report} shows it with the rest", highlight=False, soft_wrap=True)
    rows = rows_of_confirm(frames.confirmations)
    asked = rows["configuration"].isin([one.configuration for one in wanted])
    return DONE if rows.loc[asked, "test_accuracy"].notna().any() else NO_USABLE_RESULT


def _run_on_head(options: argparse.Namespace, words: Sequence[str], address: str) -> int:
    """Lets the head of a cluster that this machine is not a node of run the same command; returns its exit status.

    Raises:
        ClusterError: it cannot; or a path would mean another place there.
    """
    from cifar_tune.execution.cluster.head import check_paths, run_on_head

    check_paths(address, [("RESULTS", options.results)], [("--data", options.data)])
    return run_on_head([MODULE, *words], address=address, files={})


def _opened(folder: Path, console: Console) -> Frames:
    """The sweep's tables, once no driver is at work on them.

    Raises:
        ResultsError: the folder is not a sweep, has no ledger or sweep file, or a sweep is running in it.
    """
    from cifar_tune.analysis.reports.overview import load_told
    from cifar_tune.layout import LEDGER_NAME, SWEEP_NAME
    from cifar_tune.results.lock import read_driver

    frames = load_told(folder, console)
    for name in (LEDGER_NAME, SWEEP_NAME):
        if not (folder / name).is_file():
            raise ResultsError(f"{folder}: there is no {name}, which says what its trials were; copy the whole folder")
    driver = read_driver(folder)
    if driver is not None and driver.alive:
        raise ResultsError(
            f"{folder}: its sweep is running (process {driver.pid} on {driver.node}); confirm it when it has ended"
        )
    return frames


def _wanted(
    folder: Path, frames: Frames, options: argparse.Namespace
) -> tuple[SweepConfig, list[Retraining], dict[str, str]]:
    """The sweep, the retrainings asked for, and for each source trial what the test split is opened for.

    Raises:
        CifarTuneError: no trial has completed, or one cannot be retrained in the way asked for.
    """
    from cifar_tune.analysis.ranking import ranking, status_counts
    from cifar_tune.analysis.reports.text_table import counts_text
    from cifar_tune.config.load import load_sweep
    from cifar_tune.layout import LEDGER_NAME, SWEEP_NAME
    from cifar_tune.results.columns import TRAIN, TRAIN_AND_VALIDATION
    from cifar_tune.results.ledger import events
    from cifar_tune.search.candidates import along_the_front, best_configurations, proposed_trials, retrainings
    from cifar_tune.training.reproducibility import ComputeEnvironment

    sweep = load_sweep(folder / SWEEP_NAME)
    metric = _metric(sweep)
    ranked = list(ranking(frames.trials, metric)["trial_id"])
    whole = options.per_cell or len(sweep.objectives) == 1
    preferred = ranked if whole else along_the_front(_signed(ranked, frames.trials, sweep))
    ranked = [trial_id for trial_id in ranked if trial_id in preferred]
    if not ranked:
        counts = counts_text(status_counts(frames.trials))
        raise AnalysisError(f"{folder}: no trial has completed, so there is nothing to confirm ({counts})")
    trials = proposed_trials(sweep, events(folder / LEDGER_NAME, kind="note"))
    cell_of = dict(zip(frames.trials["trial_id"], frames.trials["study"].astype(str), strict=True))
    top = options.top or (TOP_OF_CELL if options.per_cell else TOP)
    chosen = best_configurations(preferred, trials, top=top, cell_of=cell_of if options.per_cell else None)
    trained_on = TRAIN if options.validation == "keep" else TRAIN_AND_VALIDATION
    rows = frames.trials.astype(object).where(frames.trials.notna(), None).set_index("trial_id", drop=False)
    environments = {trial_id: ComputeEnvironment.of_row(rows.loc[trial_id].to_dict()) for trial_id in ranked}
    wanted = retrainings(ranked, chosen, trials, seeds=options.seeds, trained_on=trained_on, environments=environments)
    among = f"{len(ranked)} {'completed configurations' if whole else 'configurations on the Pareto front'} by {metric}"
    where = " (best of every cell)" if options.per_cell else ""
    return sweep, wanted, {one.source: f"confirm: place {one.place} of {among}{where}" for one in wanted}


def _metric(sweep: SweepConfig) -> str:
    """What configurations are ranked by: the objective, or of several the first that training improves."""
    from cifar_tune.config.objective import LEARNT

    return next(one.metric for one in sweep.objectives if one.metric in LEARNT)


def _signed(ranked: Sequence[str], trials: pd.DataFrame, sweep: SweepConfig) -> pd.DataFrame:
    """The objectives of the trials, means over the seeds of each configuration, by trial; more is better in each."""
    from cifar_tune.analysis.repeats import seed_means

    signs = {one.metric: one.sign for one in sweep.objectives}
    return seed_means(trials.set_index("trial_id"), list(signs)).loc[list(ranked)] * list(signs.values())


def _announce(console: Console, wanted: Sequence[Retraining], answered: int) -> None:
    from cifar_tune.results.columns import TRAIN

    configurations = len({one.configuration for one in wanted})
    seeds = len({one.trial.seed for one in wanted})
    held_out = wanted[0].trained_on == TRAIN
    how = "on the training split alone" if held_out else "on all training images, the validation split included"
    lines = [
        f"{_counted(configurations, 'configuration')} with {_counted(seeds, 'fresh seed')} each, trained {how}; "
        "the test split is opened once for each",
        *([f"{answered} of {len(wanted)} are answered from the table"] if answered else []),
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
