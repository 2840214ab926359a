"""Before the first trial on a cluster: every node can run the sweep, or nothing was written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ResultsError
from cifar_tune.execution.cluster.cluster import check_lasting, connected
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import DRIVER_FILE, Cluster, NodeProbeRequest
from cifar_tune.execution.placement.placement import policy_of
from cifar_tune.storage.address import Address, remove, write_whole
from cifar_tune.storage.folders import place_of


@contextmanager
def verified_cluster(
    sweep: SweepConfig, *, folder: Path, root: Path, machine: Machine, address: str | None
) -> Iterator[None]:
    """Joins the cluster at `address`, if any, and asks every node whether trials can run there.

    folder: of the results; as it was before, when the block begins. root: of the data.

    Raises:
        ClusterError: the cluster cannot be joined, or a node cannot take part; says which and why.
        DeviceError: no node has what a trial is to have.
        ResultsError: the results folder cannot be written to here, or would not last.
    """
    if address is None:
        yield
        return
    check_lasting(folder)
    with TemporaryDirectory() as temporary, connected(machine, address=address, log=Path(temporary, "ray.log")):
        datasets = tuple({trial.dataset: None for trial in sweep.corner_trials()})
        with _made(place_of(folder) / f".nodes.{uuid.uuid4().hex}") as storage:
            cluster = Cluster(NodeProbeRequest(root.resolve(), datasets, storage))
        policy_of(sweep.resources, cluster(), len(sweep.cells()) * sweep.trials_per_study)
        yield


@contextmanager
def _made(folder: Path | Address) -> Iterator[Path | Address]:
    """Makes a folder; at the end it is gone again, and with it those above that had to be made for it."""
    above = [parent for parent in folder.parents if not parent.exists()] if isinstance(folder, Path) else []
    try:
        write_whole(folder / DRIVER_FILE, b"")
    except OSError as error:
        raise ResultsError(f"{folder.parent}: cannot be made a results folder: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        remove(folder)
        for parent in above:
            if not any(parent.iterdir()):
                parent.rmdir()
