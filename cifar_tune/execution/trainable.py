"""One trial at a time, in a worker process that Ray Tune keeps for the next (docs/decisions/0003-class-trainable.md).

The driver imports this file to name the class, so torch is imported only where a worker needs it.
"""

from __future__ import annotations

from typing import Any

from ray import tune

from cifar_tune.execution.cluster.devices import TrialResources
from cifar_tune.execution.messages import MESSAGE, Assignment, Message
from cifar_tune.execution.rank_actors import RankActors
from cifar_tune.execution.trial_process import TrialProcess


class TrialRunner(TrialProcess, tune.Trainable):
    """Trains the trial that it is assigned, one epoch a step. Nothing of it runs outside a call of Ray's.

    A trial of several processes is trained by actors, and this process only speaks for them.
    """

    _actors: RankActors | None = None

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        resources: TrialResources = config[MESSAGE].resources
        bundles = [resources.of_each()] * resources.processes
        return tune.PlacementGroupFactory(
            bundles if resources.processes == 1 else [{}, *bundles],
            bundle_label_selector=[{"ray.io/node-id": resources.node_id}] * resources.processes,
        )

    def setup(self, config: dict[str, Any]) -> None:
        assignment: Assignment = config[MESSAGE]
        if assignment.resources.processes > 1:
            self._actors = RankActors(assignment.resources)
        else:
            self._clean = self.prepare_process(assignment)
        self.begin(assignment)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.drop()
        self.begin(new_config[MESSAGE])
        return True

    def cleanup(self) -> None:
        try:
            self.drop()
        finally:
            if self._actors is not None:
                self._actors.end()

    def step(self) -> dict[str, Any]:
        return {MESSAGE: self._next_message()}

    def begin(self, assignment: Assignment) -> None:
        if self._actors is None:
            super().begin(assignment)
        else:
            self._actors.begin(assignment)

    def drop(self) -> None:
        if self._actors is None:
            super().drop()
        else:
            self._actors.drop()

    def _next_message(self) -> Message:
        return super()._next_message() if self._actors is None else self._actors.next_message()
