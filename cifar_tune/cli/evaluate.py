"""`python -m cifar_tune.evaluate CHECKPOINT`: what a trained model is worth, on its validation or on the test split."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tune.cli.arguments import add_checkpoint, add_data, count, on_checkpoint, written
from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.errors import DatasetError
from cifar_tune.storage.folders import named

if TYPE_CHECKING:
    from rich.console import Console

    from cifar_tune.execution.test_split import Answer
    from cifar_tune.inspection.evaluation import Evaluation
    from cifar_tune.inspection.predictor import NetworkPredictor
    from cifar_tune.inspection.speed import Speed
    from cifar_tune.training.checkpoint import TrainedModel
    from cifar_tune.training.data import ImageSource

SHOWN = 8
"""Confused pairs, and classes, in the terminal; the page has more."""

EXAMPLES = """examples:
  python -m cifar_tune.evaluate results/quickstart --best
  python -m cifar_tune.evaluate results/quickstart/t0004 --json t0004.json
  python -m cifar_tune.evaluate results/quickstart/t0004 --split test --reason "final figure for the paper"

The validation split is the one that the trial was validated on. Opening the test split is written down first, with
time, commit and reason, as a row of confirmations.parquet in the results folder (for other checkpoints, beside them).
Asked for again, the row answers and the split stays closed, unless --again.

exit status: 0 done; 2 the input is wrong.
"""


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.evaluate",
        description="Accuracy, confusion, calibration, classes, mistakes and speed of a trained model, with pictures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_checkpoint(parser)
    parser.add_argument("--split", choices=["validation", "test"], default="validation", help="(default: validation)")
    parser.add_argument("--reason", metavar="TEXT", help="what the test split is opened for")
    parser.add_argument("--again", action="store_true", help="open the test split although the table has the answer")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every number there")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="of page and pictures (default: evaluation/ beside the checkpoint)",
    )
    parser.add_argument(
        "--batch-sizes", type=count, nargs="+", metavar="N", help="that are timed (default: 1 8 64 256)"
    )
    parser.add_argument(
        "--changed-data",
        action="store_true",
        help="go on although pictures of the data set have come or gone; never with one that was trained on",
    )
    add_data(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = parsed(command_line(), arguments)
    return exit_status(lambda: on_checkpoint(options, lambda folder: evaluate(options, folder)))


def evaluate(options: argparse.Namespace, folder: Path) -> None:
    """Prints and writes what the model is worth.

    Raises:
        CifarTuneError: the checkpoint or the data are not there, cannot be read, or do not belong together.
    """

    from cifar_tune.cli.console import EndingConsole
    from cifar_tune.execution.data_record import check_unseen, recorded_root
    from cifar_tune.execution.test_split import home_of
    from cifar_tune.inspection.evaluation import evaluation_of
    from cifar_tune.inspection.predictor import NetworkPredictor
    from cifar_tune.inspection.trained import read_trained
    from cifar_tune.inspection.trial_data import trial_data
    from cifar_tune.training.datasets.data_root import data_root

    console = EndingConsole(soft_wrap=True, highlight=False)
    trained = read_trained(folder)
    network = NetworkPredictor(trained, options.device)
    home = home_of(trained.folder).folder
    root = data_root(options.data, recorded_root(home))
    if options.split == "test":
        _evaluate_on_test(options, console, trained, network, root)
        return
    for line in check_unseen(home, trained.trial.dataset, root, "validation", changed=options.changed_data):
        console.print(line)
    source = trial_data(network, root).validation
    if not len(source):
        raise DatasetError(
            f"{folder} was trained on all training images (dataset.validation_fraction: 0), so there is no validation "
            "split; --split test opens the test split"
        )
    _present(options, console, trained.folder, network, source, evaluation_of(network, source, options.split))


def _evaluate_on_test(
    options: argparse.Namespace, console: Console, trained: TrainedModel, network: NetworkPredictor, root: Path
) -> None:
    """Answers from the table, or writes down that the test split is opened, and opens it."""
    import cifar_tune
    from cifar_tune.execution.data_record import check_unseen
    from cifar_tune.execution.environment import git_state
    from cifar_tune.execution.test_split import evaluating, home_of
    from cifar_tune.inspection.evaluation import evaluation_of
    from cifar_tune.inspection.trial_data import check_classes
    from cifar_tune.results.confirmations import ledger_of

    check_classes(network, root)
    home = home_of(trained.folder).folder
    unseen = partial(check_unseen, home, trained.trial.dataset, root, "test", changed=options.changed_data)
    # Before anything is written; where the table may have the answer, only once it has none.
    told = None if ledger_of(home).is_file() else unseen()
    with evaluating(trained) as record:
        if (answer := record.answer) is not None and not options.again:
            _answer(options, console, trained.folder, answer)
            return
        for line in unseen() if told is None else told:
            console.print(line)
        reason = f"evaluate: {options.reason or named(trained.folder)}"
        commit = git_state(Path(cifar_tune.__file__).parent)
        source = record.open_test_split(root, network.device, reason=reason, commit=commit)
        evaluation = evaluation_of(network, source, options.split)
        record.score(evaluation.summary)
    _present(options, console, trained.folder, network, source, evaluation)
    console.print(f"The opening is written down in {named(record.table)}")


def _present(
    options: argparse.Namespace,
    console: Console,
    folder: Path,
    network: NetworkPredictor,
    source: ImageSource,
    evaluation: Evaluation,
) -> None:
    """Times the network, prints and writes everything."""
    from cifar_tune.inspection.evaluation_page import PAIRS, evaluation_sections
    from cifar_tune.inspection.page import write_page
    from cifar_tune.inspection.speed import BATCH_SIZES, device_name, speeds
    from cifar_tune.training.storage import trial_folder

    timed = list(speeds(network, source, options.batch_sizes or BATCH_SIZES))
    told = (
        f"{network.trial.model.name} on the {len(source):,} images of the {evaluation.split} split of "
        f"{network.trial.dataset.name}, {network.info.classes} classes"
    )
    output = options.output or trial_folder(folder) / "evaluation" / f"{folder.name}-{evaluation.split}"
    sections = evaluation_sections(evaluation, source, timed, device_name(network.device))
    files = write_page(output, f"Evaluation of {named(folder)}", [told], list(sections))
    console.print(f"{told}\n")
    _print(console, evaluation, timed)
    console.print(f"\n{written(files)}")
    if options.json:
        speed = {"device": device_name(network.device), "speed": [one._asdict() for one in timed]}
        _write_json(options.json, {"checkpoint": named(folder), **evaluation.as_json(PAIRS), **speed})


def _print(console: Console, evaluation: Evaluation, timed: Sequence[Speed]) -> None:
    from cifar_tune.inspection.evaluation_page import classes_table, pairs_table, speeds_table, summary_table
    from cifar_tune.plotting.terminal_table import TerminalTable
    from cifar_tune.results.image_worth import FEW_IMAGES, image_worth

    console.print(TerminalTable(summary_table(evaluation.summary)))
    if (images := len(evaluation.labels)) < FEW_IMAGES:
        console.print(image_worth(images, evaluation.split))
    if pairs := evaluation.confused_pairs(SHOWN):
        console.print("\nConfused most often")
        console.print(TerminalTable(pairs_table(pairs)))
    worst = classes_table(evaluation)
    console.print("\nClasses" if len(worst.rows) <= SHOWN else f"\nThe {SHOWN} hardest of {len(worst.rows)} classes")
    console.print(TerminalTable(replace(worst, rows=worst.rows[:SHOWN])))
    console.print("\nSpeed")
    console.print(TerminalTable(speeds_table(timed)))


def _answer(options: argparse.Namespace, console: Console, folder: Path, answer: Answer) -> None:
    """Says what the table says."""
    from cifar_tune.inspection.evaluation_page import summary_table
    from cifar_tune.plotting.terminal_table import TerminalTable

    times = "once" if answer.openings == 1 else f"{answer.openings} times"
    console.print(
        f"The test split was opened {times} for this model, last on {answer.opened_at[:16].replace('T', ' ')} UTC "
        f"({answer.reason}). It stays closed: this is what it gave; --again opens it once more.",
    )
    console.print(TerminalTable(summary_table(answer.summary)))
    if options.json:
        content = {"checkpoint": named(folder), "split": "test", "summary": dict(answer.summary)}
        _write_json(options.json, content | {"opened_at": answer.opened_at, "reason": answer.reason})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    from cifar_tune.plotting.files import write_file

    write_file(path, json.dumps(content, indent=1).encode() + b"\n")
