"""A sweep on a Ray cluster of unlike nodes, one of which dies on the way; notes where each trial was.

python -m tests.integration.sweep_on_unlike_nodes FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cifar_tune.config.load import load_sweep
from cifar_tune.execution.cluster.devices import this_machine
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.messages import Assignment, EpochReport
from cifar_tune.execution.placement.attempt import Attempt
from cifar_tune.execution.trainable import TrialRunner
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics
from tests.integration.cluster_of_unlike_nodes import running_cluster

H100, RTX4060 = "NVIDIA H100 PCIe", "NVIDIA GeForce RTX 4060"
NODES = [(1, []), (6, [H100]), (2, [RTX4060]), (2, [RTX4060, RTX4060])]
DYING = 2
"""The node that is ended once some trials have ended."""

ENDED_BEFORE = 6

SWEEP = """
name: unlike
trial:
  dataset: {name: digits}
  model: {name: resnet18}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 1024
  epochs: 3
search:
  batch_size: {choice: [64, 1024, 1400]}
  model.width: {choice: [64, 256]}
sampler: {name: random}
scheduler: {name: none}
trials_per_study: 24
"""


def main(folder: Path) -> None:
    log = folder / "places.jsonl"

    class Noting(TrialRunner):
        """Trains nothing; notes which card it may use, from when to when."""

        def prepare_process(self, assignment: Assignment) -> None:
            """Imports no torch."""

        def reports(self, assignment: Assignment) -> Iterator[EpochReport]:
            import ray

            place = {
                "trial": assignment.trial_id,
                "node": ray.get_runtime_context().get_node_id(),
                "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
                "card": ray.get_gpu_ids(),
                "share": assignment.resources.gpus,
                "bytes": assignment.resources.memory_bytes,
                "asked_node": assignment.resources.node_id,
                "pid": os.getpid(),
            }
            for epoch in (1, 2, 3):
                with log.open("a") as file:
                    file.write(json.dumps({**place, "at": time.time(), "epoch": epoch}) + "\n")
                time.sleep(0.4)
                yield EpochReport(EpochMetrics(epoch, 1.0, 0.5, 1.0, 0.5, 0.1, 0.4, 1.0, 1))

    (folder / "unlike.yaml").write_text(SWEEP)
    sweep = load_sweep(folder / "unlike.yaml")
    with running_cluster(NODES, folder / "programs") as cluster:
        import ray

        ray.init(address=cluster.address, log_to_driver=False)
        dying = list(cluster.worker_nodes)
        with ResultsStore.create(folder / "results", sweep_name=sweep.name) as store, Interruption() as interruption:
            search = Search(sweep, store)

            def refresh(_: Iterable[Attempt]) -> None:
                if search.progress().counts.get("completed", 0) >= ENDED_BEFORE and dying:
                    cluster.remove_node(node_numbered(dying, DYING), allow_graceful=False)
                    dying.clear()

            run_trials(
                search,
                store,
                asked=sweep.resources,
                root=folder,
                machine=this_machine(),
                address=cluster.address,
                interruption=interruption,
                refresh=refresh,
                runner=Noting,
            )
        ray.shutdown()


def node_numbered(nodes: list, number: int):  # type: ignore[no-untyped-def, type-arg]
    """The cluster keeps its nodes in a set."""
    return next(node for node in nodes if f"node{number}" in node._ray_params.env_vars["PATH"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
