"""Retrains the best configurations of a sweep on Ray, in a folder of their own inside the results folder."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rich.console import Console

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.confirmation_search import Confirming, ConfirmingDispatcher
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.retention import Retention, kept_of_retraining
from cifar_tune.execution.watch import no_guard, watching
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.candidates import Retraining
from cifar_tune.training.datasets.photographs import build_all


def check_data(wanted: Iterable[Retraining], root: Path) -> None:
    """Returns if training and test images are there and whole; decodes what is decoded once a machine.

    Raises:
        DatasetError: a file is missing or corrupt.
    """
    datasets = list(dict.fromkeys(one.trial.dataset for one in wanted))
    for dataset in datasets:
        dataset.verify(root, "train")
        dataset.verify(root, "test")
    build_all(datasets, root, sealed=False)


def retrain(
    sweep: SweepConfig,
    confirming: Confirming,
    store: ResultsStore,
    console: Console,
    root: Path,
    machine: Machine,
    address: str | None,
    interruption: Interruption,
) -> None:
    """Trains and scores what is left, on the resources of the sweep, until all is done or the user interrupts.

    Raises: what `run_trials` raises.
    """
    rule = partial(kept_of_retraining, keep=sweep.checkpoints.keep)
    with Retention(store, rule) as retention, watching(console, sweep, confirming, no_guard) as watch:
        run_trials(
            confirming,
            store,
            asked=sweep.resources,
            root=root,
            machine=machine,
            address=address,
            interruption=interruption,
            refresh=watch.refresh,
            tell=watch.tell,
            announce=watch.announce,
            dispatch=ConfirmingDispatcher,
            retention=retention,
        )
    if not interruption.requested:
        retention.tidy(rule)
