"""What can be known to be wrong before Ray starts. Without torch."""

from __future__ import annotations

from pathlib import Path

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.training.check import check_trial
from cifar_tune.tuning.machines.devices import Machine
from cifar_tune.tuning.machines.nodes import Node
from cifar_tune.tuning.placing.placement import policy_of

LEAST_IMAGES = 2
"""Of a process, in a micro-batch: of one image BatchNorm has no variance."""


def check_data(sweep: SweepConfig, root: Path) -> None:
    """Returns if every data set that the sweep may use is there and whole.

    Raises:
        DatasetError: a file is missing or corrupt; names it and says what to do.
    """
    for dataset in {trial.dataset: None for trial in sweep.corner_trials()}:
        dataset.verify(root)


def prepare_data(sweep: SweepConfig, root: Path) -> None:
    """Decodes what is to be decoded once a machine, so that the first trials do not wait for it unseen."""
    for dataset in {trial.dataset: None for trial in sweep.corner_trials()}:
        dataset.build(root)


def check_trials(sweep: SweepConfig, root: Path) -> None:
    """Returns if the trials at the limits of the sweep suit their data sets.

    Raises:
        ConfigError: with one problem for each part of a trial that does not.
        DatasetError: what must be known of a data set stands in files that are not there.
    """
    problems: dict[Problem, None] = {}
    for trial in sweep.corner_trials():
        try:
            check_trial(trial, trial.dataset.info(root))
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
        if (images := trial.ghost_batch_size) and trial.micro_batch_size % (images * sweep.resources.ranks):
            problems[_uneven(images, sweep.resources.ranks)] = None
        elif trial.micro_batch_size < LEAST_IMAGES * sweep.resources.ranks > LEAST_IMAGES:
            problems[_too_few(sweep.resources.ranks)] = None
    if problems:
        raise ConfigError(tuple(problems))


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
        DeviceError: it cannot; says what there is.
    """
    policy_of(sweep.resources, (Node("", "", machine),), len(sweep.cells()) * sweep.trials_per_study)
