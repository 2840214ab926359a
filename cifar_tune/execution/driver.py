"""Runs the trials of a sweep on Ray Tune, from the first one or from where they were left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.config.sweep_config import Resources
from cifar_tune.errors import ClusterError, SurroundingsError
from cifar_tune.execution.clock import Clock
from cifar_tune.execution.cluster.cluster import connected
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Cluster, Node, NodeProbeRequest, free_now, this_node
from cifar_tune.execution.cluster.ray_health import RayHealthCheck, RayLost, services_of_ray
from cifar_tune.execution.dispatcher import Dispatcher
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.placement.attempt import Attempt
from cifar_tune.execution.placement.memory_record import MemoryRecord
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.execution.placement.speed_record import SpeedRecord
from cifar_tune.execution.retention import Retention
from cifar_tune.execution.wait_limit import Waiting
from cifar_tune.layout import RAY_FOLDER
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposer import Proposer
from cifar_tune.storage.address import remove
from cifar_tune.storage.folders import place_of
from cifar_tune.training.datasets import AnyDataset

if TYPE_CHECKING:
    from cifar_tune.execution.trainable import TrialRunner


INTERRUPTED = "the sweep was interrupted while the trial was running"
"""What the rows of trials say that were broken off."""


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
    datasets: Sequence[AnyDataset] = (),
    record: MemoryRecord | None = None,
    speeds: SpeedRecord | None = None,
    runner: type[TrialRunner] | None = None,
    tell: Callable[[str | None], None] = lambda _: None,
    announce: Callable[[str], None] = lambda _: None,
    retention: Retention | None = None,
) -> None:
    """Trains what the search proposes, until nothing is left, the user interrupts or the time is over.

    Rows and checkpoints are whole then.

    root: of the data. refresh: called several times a second, with the trials that are at work. clock: tells
    when the time is over; None where there is no such rule. datasets: that every node of a cluster must have.
    record: of the memory that trials took. speeds: of how fast they were beside others. runner: another worker than
    the usual one. tell: called as often as `refresh`, with what is waited for while no trial is at work.
    announce: called with each line that is to stay on the screen, such as that a node is gone. retention: is told of
    every trial that has ended.

    Raises:
        ClusterError: Ray could not be started or reached, has died, or had no place for a trial for too long; a node of
            the cluster cannot take part.
        DeviceError: no node has what a trial is to have.
        SurroundingsError: for too long every trial has met a fault of data, storage, disk, network or nodes.
    """
    folder, shared = store.folder.resolve() / RAY_FOLDER, place_of(store.folder) / RAY_FOLDER
    remove(folder)
    with connected(machine, address=address, log=folder / "ray.log"), RayHealthCheck(services_of_ray()) as pulse:
        interruption.listen()
        from cifar_tune.execution.ray_adapters import fit
        from cifar_tune.execution.trainable import TrialRunner as UsualRunner

        nodes: Callable[[], Sequence[Node]]
        if address is None:
            alone = (this_node(machine),)
            nodes = lambda: alone  # noqa: E731
        else:
            nodes = Cluster(NodeProbeRequest(root.resolve(), tuple(datasets), shared / "nodes"))
        needs = Needs(root, record or MemoryRecord(), speeds or SpeedRecord())
        placer = Placer(asked, nodes, needs, trials=search.progress().planned)
        store.patience.seconds = patience = 60.0 * asked.retry_minutes
        dispatcher = dispatch(search, store, root=root.resolve(), placer=placer, patience_seconds=patience)
        dispatcher.retention = retention
        waiting = Waiting(asked.wait_hours, now=time.monotonic())

        def between_steps() -> None:
            pulse.check()
            now = time.monotonic()
            if clock is not None:
                clock.tick(now, placer.gpus_held())
                interruption.time_is_over = clock.met()
            if not interruption.now:
                trouble = dispatcher.trouble()
                busy = dispatcher.at_work or trouble is not None
                waits = waiting.tick(now, busy, lambda: f"{dispatcher.wanted()}; free: {free_now()}")
                tell(trouble or waits)
            for line in [*dispatcher.lost_nodes(), *dispatcher.environments.new_lines()]:
                announce(line)
            refresh(dispatcher.live.values())

        reason = INTERRUPTED
        try:
            fit(dispatcher, interruption, storage=folder, refresh=between_steps, runner=runner or UsualRunner)
        except (ClusterError, RayLost, SurroundingsError) as error:
            reason = pulse.lost or str(error)
            raise
        finally:
            met = interruption.time_is_over
            dispatcher.interrupt(met.told if met else reason)
            if clock is not None:
                clock.end(time.monotonic(), met)
    for place in {folder, shared}:
        remove(place)
