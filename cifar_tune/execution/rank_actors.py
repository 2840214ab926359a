"""The processes of a trial that trains on several cards: Ray actors in the trial's own placement group.

They are owned by the worker that speaks for them, so that Ray ends them when it ends, however that happens.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from cifar_tune.errors import ClusterError
from cifar_tune.execution.cluster.devices import TrialResources
from cifar_tune.execution.messages import Assignment, Ending, Message
from cifar_tune.execution.trial_process import TrialProcess

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

VISIBLE = "CUDA_VISIBLE_DEVICES"


class RankActor(TrialProcess):
    """One of the processes."""

    _store: TCPStore

    def visible(self) -> str | None:
        """Returns the card that Ray gave to this process."""
        return os.environ.get(VISIBLE)

    def open_store(self, size: int) -> int:
        """Returns the port where the processes meet."""
        from cifar_tune.training.process_group import open_store

        self._store = open_store(size)
        return self._store.port

    def join(self, rank: int, size: int, port: int, visible: str | None) -> None:
        """Joins the others. visible: the cards of all, for NCCL copies between those that both processes see."""
        if visible is not None:
            os.environ[VISIBLE] = visible
        from cifar_tune.training.process_group import join

        self._ranks = join(rank, size, port)

    def start(self, assignment: Assignment) -> None:
        """Lets go of the last trial and begins this one, on the card that has this process's number."""
        assert self._ranks is not None
        if assignment.device == "cuda":
            import torch

            torch.cuda.set_device(self._ranks.rank)
            assignment = replace(assignment, device=f"cuda:{self._ranks.rank}")
        if self._clean is None:
            self._clean = self.prepare_process(assignment)
        self.begin(assignment)

    def next_message(self) -> Message:
        """Trains one epoch with the others."""
        return self._next_message()


class RankActors:
    """The processes of one trial after another."""

    def __init__(self, resources: TrialResources) -> None:
        self._resources = resources
        self._actors: list[Any] = []

    def begin(self, assignment: Assignment) -> None:
        """Lets all begin this trial."""
        if not self._actors:
            self._start()
        ray.get([actor.start.remote(assignment) for actor in self._actors])

    def drop(self) -> None:
        """Lets all drop their trial, model and optimizer with it."""
        ray.get([actor.drop.remote() for actor in self._actors])

    def end(self) -> None:
        """Ends the processes, wherever they stand."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def next_message(self) -> Message:
        """Trains one epoch; returns what the first process says of it, or the one that failed.

        Where one fails the others wait for it in vain, and are ended.

        Raises:
            ClusterError: a process died.
        """
        waiting = {actor.next_message.remote(): rank for rank, actor in enumerate(self._actors)}
        said: dict[int, Message] = {}
        while waiting:
            done = ray.wait(list(waiting), num_returns=1)[0][0]
            rank = waiting.pop(done)
            try:
                said[rank] = message = ray.get(done)
            except ray.exceptions.RayError as error:
                self.end()
                what = str(error).strip().splitlines()[-1]
                raise ClusterError(f"process {rank + 1} of the trial's {self._resources.processes}: {what}") from error
            if isinstance(message, Ending) and message.status in ("failed", "out_of_memory", "surroundings"):
                self.end()
                return message
        return said[0]

    def _start(self) -> None:
        size = self._resources.processes
        of_each = self._resources.of_each()
        group = ray.util.get_current_placement_group()
        assert group is not None, "Tune gives every trial one"
        self._actors = [
            ray.remote(RankActor)
            .options(
                num_cpus=of_each["CPU"],
                num_gpus=of_each.get("GPU", 0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank),
            )
            .remote()
            for rank in range(size)
        ]
        cards = [card for card in ray.get([actor.visible.remote() for actor in self._actors]) if card]
        port = ray.get(self._actors[0].open_store.remote(size))
        visible = ",".join(cards) if len(cards) == size else None
        ray.get([actor.join.remote(rank, size, port, visible) for rank, actor in enumerate(self._actors)])
