"""Trains the trials of a sweep on Ray, until its rules or the user end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.clock import Clock
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.placement.memory_record import MemoryRecord, user_record
from cifar_tune.execution.placement.speed_record import SPEED_NAME, SpeedRecord
from cifar_tune.execution.retention import Retention, kept_of
from cifar_tune.execution.watch import GuardLine, no_guard, watching
from cifar_tune.results.image_worth import FEW_IMAGES, image_worth
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.audit import Arrivals
from cifar_tune.search.search import Search
from cifar_tune.training.datasets.split import training_sizes


def train_sweep(
    sweep: SweepConfig,
    search: Search,
    store: ResultsStore,
    console: Console,
    root: Path,
    machine: Machine,
    address: str | None,
    interruption: Interruption,
    judge: Callable[[Arrivals], str | None],
) -> None:
    """Trains what the search proposes and what was left unfinished, and shows it on the console.

    root: of the data. judge: says in a line what the trials at the first rung show of early stopping.

    Raises: what `run_trials` raises.
    """
    while_running = partial(kept_of, sweep=sweep, over=False)
    clock = Clock(sweep.stop, store, now=time.monotonic())
    interruption.time_is_over = clock.met()
    if interruption.time_is_over is not None:
        return
    if search.exhausted and not search.unfinished():
        search.close()
        if search.ended_by is None:
            console.print("every trial has ended already; --extend with a higher trials_per_study adds more")
        Retention(store, while_running).tidy(partial(kept_of, sweep=sweep, over=True))
        return
    guard = GuardLine(search.audit, judge) if len(sweep.objectives) == 1 else no_guard
    with Retention(store, while_running) as retention, watching(console, sweep, search, guard) as watch:
        _, images = training_sizes(sweep.trial.dataset.info(root), sweep.trial.dataset)
        if 0 < images < FEW_IMAGES and any("accuracy" in one.metric for one in sweep.objectives):
            watch.announce(image_worth(images))
        run_trials(
            search,
            store,
            asked=sweep.resources,
            root=root,
            machine=machine,
            address=address,
            interruption=interruption,
            clock=clock,
            refresh=watch.refresh,
            tell=watch.tell,
            announce=watch.announce,
            datasets=list({trial.dataset: None for trial in sweep.corner_trials()}),
            record=MemoryRecord.read(user_record()),
            speeds=SpeedRecord.read(user_record(SPEED_NAME)),
            retention=retention,
        )
    if search.exhausted:
        search.close()
        retention.tidy(partial(kept_of, sweep=sweep, over=True))
