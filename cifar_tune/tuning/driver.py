"""Runs the trials of a sweep on Ray Tune, from the first one or from where they were left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cifar_tune.config.sweep_config import Resources
from cifar_tune.errors import DeviceError
from cifar_tune.results.store import ResultsStore
from cifar_tune.tuning.clock import Clock
from cifar_tune.tuning.cluster import connected, largest_node, trials_at_once
from cifar_tune.tuning.devices import Machine, device_kind, trial_resources
from cifar_tune.tuning.dispatcher import Attempt, Dispatcher
from cifar_tune.tuning.interruption import Interruption
from cifar_tune.tuning.proposer import Proposer

RAY_FOLDER = ".ray"
"""Folder inside the results folder for what Ray must write; gone after an orderly end."""

CLUSTER_SECONDS = 5.0
"""How long the size of a cluster, to which others may add nodes, is believed."""


def run_trials(
    search: Proposer,
    store: ResultsStore,
    *,
    asked: Resources,
    root: Path,
    machine: Machine,
    address: str | None,
    interruption: Interruption,
    refresh: Callable[[Iterable[Attempt]], None],
    clock: Clock | None = None,
    dispatch: type[Dispatcher] = Dispatcher,
) -> None:
    """Trains what the search proposes, until nothing is left, the user interrupts or the time is over.

    Rows and checkpoints are whole then.

    root: of the data. refresh: called several times a second, with the trials that are at work. clock: tells
    when the time is over; None where there is no such rule.

    Raises:
        ClusterError: Ray could not be started or reached.
        DeviceError: no node has what a trial is to have.
    """
    folder = store.folder.resolve() / RAY_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    with connected(machine, address=address, log=folder / "ray.log"):
        interruption.listen()
        from cifar_tune.tuning.ray_adapters import fit

        resources = trial_resources(asked, machine if address is None else largest_node())
        at_once = _Remembered(lambda: trials_at_once(resources))
        if not at_once():
            raise DeviceError(f"no node can hold a trial, which is to have {resources}; the largest: {largest_node()}")
        dispatcher = dispatch(
            search,
            store,
            root=root.resolve(),
            device=device_kind(resources),
            resources=resources,
            slots=at_once,
        )

        def between_steps() -> None:
            if clock is not None:
                clock.tick(time.monotonic(), len(dispatcher.live) * resources.gpus)
                interruption.time_is_over = clock.met()
            refresh(dispatcher.live.values())

        try:
            fit(dispatcher, interruption, storage=folder, refresh=between_steps)
        finally:
            met = interruption.time_is_over
            dispatcher.interrupt(met.told if met else "the sweep was interrupted while the trial was running")
            if clock is not None:
                clock.end(time.monotonic(), met)
    shutil.rmtree(folder, ignore_errors=True)


class _Remembered:
    """A number that is asked for often and changes seldom."""

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask
        self._value = 0
        self._until = 0.0

    def __call__(self) -> int:
        if time.monotonic() >= self._until:
            self._value = self._ask()
            self._until = time.monotonic() + CLUSTER_SECONDS
        return self._value
