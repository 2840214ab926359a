"""`python -m cifar_tune.datasets`: which data sets are there; `prepare` downloads, verifies and decodes one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from cifar_tune.cli.arguments import add_data
from cifar_tune.cli.console import EndingConsole
from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.config.document import value
from cifar_tune.config.load import load_trial
from cifar_tune.config.messages import explain
from cifar_tune.errors import ConfigError, DatasetError, Problem
from cifar_tune.plotting.section import Table
from cifar_tune.plotting.terminal_table import TerminalTable
from cifar_tune.schema import Strict
from cifar_tune.training.datasets import AnyDataset, Dataset
from cifar_tune.training.datasets.cache_folder import cache_folder
from cifar_tune.training.datasets.data_root import data_root, root_for
from cifar_tune.training.datasets.photographs import build_all

MEMBERS: tuple[type[Dataset], ...] = get_args(get_args(AnyDataset)[0])

YAML = (".yaml", ".yml")

EXAMPLES = """examples:
  python -m cifar_tune.datasets
  python -m cifar_tune.datasets prepare cifar10 --data ~/data
  python -m cifar_tune.datasets prepare food101 --set resolution=128
  python -m cifar_tune.datasets prepare folder --set path=/photos/pets
  python -m cifar_tune.datasets prepare sweeps/food101_mininet.yaml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = command_line()
    options = parsed(parser, arguments)
    if options.command == "prepare" and not options.what:
        parser.error(f"prepare needs a data set ({', '.join(map(name_of, MEMBERS))}) or a sweep file")
    return exit_status(lambda: run(options), interrupted="interrupted; run the same command again to go on")


def run(options: argparse.Namespace) -> None:
    """Shows or prepares data sets. Raises CifarTuneError where the input is wrong or a data set is not there."""
    root = data_root(options.data)
    if options.command == "prepare":
        dataset = wanted(options.what, options.set)
        if options.what.endswith(YAML):
            root = root_for([dataset], Path(options.what), options.data)
        prepare(dataset, root)
    else:
        show(root)


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of this command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cifar_tune.datasets",
        description="Shows which data sets are there; with `prepare`, downloads, verifies and decodes one.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["prepare"], help="without it: a table of what is there")
    parser.add_argument("what", nargs="?", metavar="NAME", help="a data set, or the sweep or trial file that names it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the data set")
    add_data(parser)
    return parser


class Wanted(Strict):
    """What `prepare` is asked for."""

    dataset: AnyDataset


def wanted(what: str, overrides: Sequence[str]) -> Dataset:
    """Returns the data set of a name and options, or of a sweep or trial file.

    Raises:
        ConfigError: The data set, option or file does not exist.
    """
    if what.endswith(YAML):
        return load_trial(Path(what), [f"dataset.{override}" for override in overrides]).dataset
    fields = {"name": what}
    for override in overrides:
        key, _, text = override.partition("=")
        fields[key] = value(text, f"--set {override}")
    tree = {"dataset": fields}
    try:
        return Wanted.model_validate(tree).dataset
    except ValidationError as error:
        findings = explain(error, Wanted, tree)
        problems = [Problem("", None, None, ".".join(map(str, one.loc)), one.message) for one in findings]
        raise ConfigError(problems) from None


def prepare(dataset: Dataset, root: Path) -> None:
    """Fetches what is not there, checks all files, and decodes the images of both splits; says what it did."""
    try:
        verify(dataset, root)
    except DatasetError as error:
        if dataset.folder and (root / dataset.folder).is_dir():
            print(error, file=sys.stderr)
        dataset.download(root)
        verify(dataset, root)
    build_all([dataset], root)
    info = dataset.info(root)
    print(f"{dataset.name} is ready: {info.train_images:,} training images of {info.classes} classes")
    for line in dataset.remarks(root):
        print(line)


def verify(dataset: Dataset, root: Path) -> None:
    """Checks the files of both splits. Raises DatasetError."""
    dataset.verify(root, "train")
    dataset.verify(root, "test")


def show(root: Path) -> None:
    """Prints a table of the data sets, and below it what is wrong with those that are not whole."""
    console = EndingConsole()
    rows, faults = zip(*(described(member, root) for member in MEMBERS), strict=True)
    heads = ("name", "classes", "images", "where", "on disk", "state")
    console.print(f"data sets in {root} (images: to train on)", style="italic", highlight=False, soft_wrap=True)
    console.print(TerminalTable(Table(heads, rows, left=(True, False, False, True, False, True))))
    for fault in filter(None, faults):
        console.print(fault, soft_wrap=True, highlight=False)
    console.print("`python -m cifar_tune.datasets prepare NAME` fetches, checks and decodes one.")


def described(member: type[Dataset], root: Path) -> tuple[tuple[str, ...], str | None]:
    """Returns the cells of a data set's row, and what is wrong with its files, if they are there at all."""
    name = name_of(member)
    caches = "".join(f", decoded at {size} px" for size in decoded_resolutions(name, root))
    if needed := [key for key, field in member.model_fields.items() if field.is_required() and key != "name"]:
        return (name, "", "", "your own", "", f"needs {', '.join(needed)}{caches}"), None
    dataset = Wanted.model_validate({"dataset": {"name": name}}).dataset
    if dataset.folder is None:
        where, size = "in scikit-learn", ""
    else:
        where = dataset.folder
        if not (root / where).is_dir():
            return (name, "", "", where, "", f"not there{caches}"), None
        size = f"{size_of(root / where) / 1e6:,.0f} MB"
    try:
        dataset.verify(root)
        info = dataset.info(root)
    except DatasetError as error:
        return (name, "", "", where, size, f"not whole{caches}"), str(error)
    return (name, str(info.classes), f"{info.train_images:,}", where, size, f"ready{caches}"), None


def name_of(member: type[Dataset]) -> str:
    """Returns the name by which a sweep file calls a data set."""
    return str(member.model_fields["name"].default)


def decoded_resolutions(name: str, root: Path) -> list[int]:
    """Returns in which resolutions a data set's training images are decoded."""
    found = (cache_folder(root) / "decoded").glob(f"{name}-train-*px-*.npy")
    return sorted({int(path.name.removeprefix(f"{name}-train-").split("px-")[0]) for path in found})


def size_of(folder: Path) -> int:
    """Returns the bytes of all files below a folder."""
    return sum(os.stat(os.path.join(parent, file)).st_size for parent, _, files in os.walk(folder) for file in files)
