"""What can be known to be wrong before Ray starts. Without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cifar_tune.config.paths import dotted
from cifar_tune.config.space import Varied
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, DeviceError, Problem
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.placement.placement import policy_of
from cifar_tune.training.check import check_trial
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.datasets.photographs import build_all
from cifar_tune.training.trial import TrialConfig

LEAST_IMAGES = 2
"""Of a process, in a micro-batch: of one image BatchNorm has no variance."""


def check_here(sweep: SweepConfig, root: Path, machine: Machine) -> None:
    """Returns if the sweep's trials suit this machine and their data sets.

    Raises:
        ConfigError: with all problems of both.
        DatasetError: what must be known of a data set stands in files that are not there.
    """
    problems: list[Problem] = []
    for check in (partial(check_resources, sweep, machine), partial(check_trials, sweep, root)):
        try:
            check()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def check_data(sweep: SweepConfig, root: Path) -> None:
    """Returns if every data set that the sweep may use is there and whole.

    Raises:
        DatasetError: a file is missing or corrupt; names it and says what to do.
    """
    for dataset in datasets_of(sweep):
        dataset.verify(root)


def prepare_data(sweep: SweepConfig, root: Path) -> None:
    """Decodes what is to be decoded once a machine, so that the first trials do not wait for it unseen.

    Raises:
        DatasetError: images cannot be read, of the test split or of others; names all of them.
    """
    build_all(datasets_of(sweep), root)


def datasets_of(sweep: SweepConfig) -> list[AnyDataset]:
    """Returns every data set that the sweep may use."""
    return [*dict.fromkeys(trial.dataset for trial in sweep.corner_trials())]


def check_trials(sweep: SweepConfig, root: Path) -> None:
    """Returns if the trials at the limits of the sweep suit their data sets.

    Raises:
        ConfigError: with one problem for each part of a trial that does not.
        DatasetError: what must be known of a data set stands in files that are not there.
    """
    problems: dict[Problem, None] = {}
    baseline: list[Problem] = []
    for trial, varied in sweep.corners().items():
        found = _problems(trial, sweep.resources.ranks, root)
        baseline = baseline if varied else found
        problems |= dict.fromkeys(one if one in baseline else _blamed(one, varied) for one in found)
    if problems:
        raise ConfigError(tuple(problems))


def _problems(trial: TrialConfig, processes: int, root: Path) -> list[Problem]:
    problems: list[Problem] = []
    try:
        check_trial(trial, trial.dataset.info(root))
    except ConfigError as error:
        problems += error.problems
    if (images := trial.ghost_batch_size) and trial.micro_batch_size % (images * processes):
        problems.append(_uneven(images, processes))
    elif trial.micro_batch_size < LEAST_IMAGES * processes > LEAST_IMAGES:
        problems.append(_too_few(processes))
    return problems


def _blamed(problem: Problem, varied: Sequence[Varied]) -> Problem:
    """Returns the problem at the value in the sweep file that causes it: of its own part, else the last that varies."""
    parts = problem.path.split(".")[1:]
    own = [one for one in varied if [*map(str, one.loc)][: len(parts)] == parts[: len(one.loc)]]
    return dataclasses.replace(problem, path=dotted((own or varied)[-1].where))


def _too_few(processes: int) -> Problem:
    least = LEAST_IMAGES * processes
    message = f"a micro-batch for {processes} processes has at least {least} images, {LEAST_IMAGES} for each BatchNorm"
    return Problem("", None, None, "trial.batch_size", message)


def _uneven(images: int, processes: int) -> Problem:
    message = f"groups of {images} images do not divide micro-batches among {processes} processes"
    return Problem(
        "", None, None, "trial.ghost_batch_size", f"{message}; allowed are multiples of {images * processes}"
    )


def check_resources(sweep: SweepConfig, machine: Machine) -> None:
    """Returns if a trial can have on this machine what it is to have.

    Raises:
        ConfigError: it cannot; says what there is.
    """
    try:
        policy_of(sweep.resources, (Node("", "", machine),), len(sweep.cells()) * sweep.trials_per_study)
    except DeviceError as error:
        path, _, message = str(error).partition(": ")
        raise ConfigError([Problem("", None, None, path, message)]) from None
