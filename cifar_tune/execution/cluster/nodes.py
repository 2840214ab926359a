"""What each node of a Ray cluster has and lacks, asked of the node itself: Ray knows no card's memory."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cifar_tune
from cifar_tune.errors import ClusterError, DatasetError
from cifar_tune.execution.cluster.cards import Gpu
from cifar_tune.execution.cluster.devices import Machine, machine_with
from cifar_tune.storage.address import Address, write_whole
from cifar_tune.training.datasets import AnyDataset

ANSWER_SECONDS = 120.0
"""A node that has not answered by then will not train either; to start a worker takes seconds."""

CLUSTER_SECONDS = 5.0
"""How long the list of a cluster's nodes is believed."""

DRIVER_FILE = "driver"
"""Written by the driver where every node must be able to read, and each node beside it."""


@dataclass(frozen=True)
class Node:
    """One node. node_id: Ray's. machine: cores and cards that Ray may hand out there."""

    node_id: str
    host: str
    machine: Machine


@dataclass(frozen=True)
class NodeProbeRequest:
    """What a node is asked. root: of the data. storage: what all are to share; None asks for neither."""

    root: Path | None = None
    datasets: tuple[AnyDataset, ...] = ()
    storage: Path | Address | None = None


@dataclass(frozen=True)
class NodeProbeResult:
    """What a node says. versions: of what must be the same everywhere. problems: why no trial can run there."""

    host: str
    machine: Machine
    versions: Mapping[str, str]
    problems: tuple[str, ...]


def versions() -> dict[str, str]:
    """Returns the versions that driver and nodes must share."""
    import ray

    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "Ray": ray.__version__, "cifar_tune": cifar_tune.__version__}


def answer(question: NodeProbeRequest, node_id: str) -> NodeProbeResult:
    """Returns what this node has, and what it cannot do. Runs on the node."""
    return NodeProbeResult(
        host=platform.node(),
        machine=machine_with(_visible_to_ray()),
        versions=versions(),
        problems=(*_storage_problems(question.storage, node_id), *_data_problems(question)),
    )


def _visible_to_ray() -> str | None:
    """`CUDA_VISIBLE_DEVICES` of the node, which Ray hides from a task that asks for no GPU."""
    import ray

    worker: Any = ray._private.worker.global_worker
    numbers = worker.original_visible_accelerator_ids.get("GPU")
    return None if numbers is None else ",".join(numbers)


def _storage_problems(storage: Path | Address | None, node_id: str) -> tuple[str, ...]:
    if storage is None:
        return ()
    try:
        (storage / DRIVER_FILE).read_bytes()
        write_whole(storage / node_id, node_id.encode())
    except OSError as error:
        why = error.strerror or error
        return (f"cannot read and write the results folder {storage.parent} ({why}); all nodes must see one",)
    return ()


def _data_problems(question: NodeProbeRequest) -> tuple[str, ...]:
    if question.root is None:
        return ()
    found = []
    for dataset in question.datasets:
        try:
            dataset.verify(question.root)
        except DatasetError as error:
            named = f"data set {dataset.name}: "
            found.append(named + str(error).removeprefix(named))
    return tuple(found)


def this_node(machine: Machine) -> Node:
    """Returns the node of the Ray that was started on this machine, with what of it Ray hands out."""
    here = described_here()
    return Node(here["NodeID"], platform.node(), handed_out(machine, here["Resources"]))


def described_here() -> dict[str, Any]:
    """Returns what Ray says of the node that this process is on."""
    import ray

    node_id = ray.get_runtime_context().get_node_id()
    found: dict[str, Any] = next(node for node in ray.nodes() if node["NodeID"] == node_id)  # type: ignore[no-untyped-call]
    return found


def free_now() -> str:
    """Returns the cores and cards that Ray has free in all, in words."""
    import ray

    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    whole: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    parts = [f"{free.get(kind, 0):g} of {whole[kind]:g} {kind}s" for kind in ("CPU", "GPU") if kind in whole]
    return ", ".join(parts) or "no CPU"


class Cluster:
    """The nodes of a cluster as it is now; nodes may join and leave."""

    def __init__(self, question: NodeProbeRequest) -> None:
        """Asks every node.

        Raises:
            ClusterError: nodes differ in version, share no storage, or lack a data set; one line for each problem.
        """
        self._request = question
        self._known, problems = _examined(question, described := living_nodes())
        self._seen = set(described)
        self._alive = tuple(self._known.values())
        self._until = time.monotonic() + CLUSTER_SECONDS
        if problems:
            raise ClusterError("the cluster cannot run the sweep:\n" + "\n".join(f"  {line}" for line in problems))
        if not described:
            raise ClusterError("the cluster cannot run the sweep: no node of it has a CPU core to give")

    def __call__(self) -> tuple[Node, ...]:
        """Returns the living nodes. One that joined takes part if it can; why one cannot stands in Ray's log."""
        if time.monotonic() >= self._until:
            described = living_nodes()
            joined = {node_id: node for node_id, node in described.items() if node_id not in self._seen}
            self._seen |= set(joined)
            found, problems = _examined(self._request, joined)
            self._known |= found
            for problem in problems:
                logging.getLogger("ray").warning("takes no part: %s", problem)
            self._alive = tuple(node for node_id, node in self._known.items() if node_id in described)
            self._until = time.monotonic() + CLUSTER_SECONDS
        return self._alive


def living_nodes() -> dict[str, dict[str, Any]]:
    """Returns what Ray says of its living nodes that have CPU cores to give, by node id."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return {node["NodeID"]: node for node in alive if node["Resources"].get("CPU", 0) >= 1}


def _examined(question: NodeProbeRequest, described: Mapping[str, dict[str, Any]]) -> tuple[dict[str, Node], list[str]]:
    """Returns the nodes that can take part, and a line for each problem of the others."""
    if question.storage is not None:
        write_whole(question.storage / DRIVER_FILE, b"")
    nodes, problems = {}, []
    for node_id, told in _ask(question, list(described)).items():
        found = _problems(told, question, node_id)
        problems += [f"node {described[node_id]['NodeManagerHostname']} ({node_id[:8]}): {one}" for one in found]
        if isinstance(told, NodeProbeResult) and not found:
            machine = handed_out(told.machine, described[node_id]["Resources"])
            nodes[node_id] = Node(node_id, told.host, machine)
    return nodes, problems


def _ask(question: NodeProbeRequest, node_ids: Sequence[str]) -> dict[str, NodeProbeResult | str]:
    """Returns each node's answer, or what kept it from answering."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {
        node_id: ray.remote(answer)
        .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False))
        .remote(question, node_id)
        for node_id in node_ids
    }
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_SECONDS)
    found: dict[str, NodeProbeResult | str] = {}
    for node_id, reference in asked.items():
        try:
            found[node_id] = ray.get(reference, timeout=0)
        except ray.exceptions.GetTimeoutError:
            found[node_id] = f"did not answer in {ANSWER_SECONDS:.0f} s"
        except ray.exceptions.RayError as error:
            found[node_id] = f"cannot run cifar_tune: {str(error).strip().splitlines()[-1]}"
    return found


def _problems(told: NodeProbeResult | str, question: NodeProbeRequest, node_id: str) -> tuple[str, ...]:
    if isinstance(told, str):
        return (told,)
    ours = versions()
    differing = [name for name in ours if told.versions[name] != ours[name]]
    problems = [f"has {name} {told.versions[name]}; the driver has {ours[name]}" for name in differing]
    problems += told.problems
    if question.storage is not None and not told.problems and not (question.storage / node_id).exists():
        problems.append(f"has a results folder {question.storage.parent} of its own; all nodes must see one")
    return tuple(problems)


def handed_out(machine: Machine, resources: Mapping[str, float]) -> Machine:
    """Returns the part of a machine that Ray hands out: its cores, and as many cards as it counts."""
    count = int(resources.get("GPU", 0))
    unknown = Gpu(next((key.removeprefix(KIND) for key in resources if key.startswith(KIND)), "GPU"), 0, "")
    cards = (*machine.gpus[:count], *[unknown] * (count - len(machine.gpus)))
    return replace(machine, cores=int(resources.get("CPU", 0)), gpus=cards)


KIND = "accelerator_type:"
"""Ray labels a node so by its first card, whatever the others are."""
