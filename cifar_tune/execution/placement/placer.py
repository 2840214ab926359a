"""Keeps the places of a sweep's trials: what each holds, and which waiting trial may start where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cifar_tune.config.sweep_config import Resources
from cifar_tune.execution.cluster.cards import GIGABYTE, Gpu
from cifar_tune.execution.cluster.devices import TrialResources
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.placement.allocation import WHOLE, FreeResources, ResourceShare, all_free, allocate
from cifar_tune.execution.placement.oom_fallback import MemoryFallback, Place
from cifar_tune.execution.placement.placement import (
    Request,
    asked_in_words,
    policy_of,
    request_of,
    slice_of,
    smallest_card,
)
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.training.trial import TrialConfig

LOOKED_AT = 64
"""Waiting trials that are considered at a time: after a resume there can be thousands."""


@dataclass(frozen=True)
class Placed:
    """What a trial holds. trial: as it is to train there. card: the one that Ray may give it; None on a CPU."""

    trial: TrialConfig
    node_id: str
    host: str
    piece: ResourceShare
    numbers: tuple[int, ...]
    card: Gpu | None
    resources: TrialResources

    def __str__(self) -> str:
        batch = "" if self.trial.accumulation == 1 else f", in micro-batches of {self.trial.micro_batch_size} images"
        share = "" if self.card is None else f" of {self.card}" if self.piece.cards == 1 else f", each {self.card}"
        memory = self.resources.memory_bytes
        return f"{self.resources}{share}{f', {memory / GIGABYTE:.1f} GB' if memory else ''}{batch}"

    def entry(self) -> dict[str, object]:
        """Returns the place as the log of placements has it."""
        return {
            "node": self.host,
            "card": None if self.card is None else self.card.name,
            "gpus": self.resources.gpus,
            "cpus": self.resources.cpus,
            "gpu_memory_reserved_bytes": self.resources.reserved_bytes,
            "micro_batch_size": self.trial.micro_batch_size,
            "recompute": self.trial.recompute,
        }

    @property
    def device(self) -> str:
        """As torch names it."""
        return "cpu" if self.card is None else self.card.kind


class Placer:
    """Places of running trials, by the key of each."""

    def __init__(self, asked: Resources, nodes: Callable[[], Sequence[Node]], needs: Needs, *, trials: int) -> None:
        """nodes: asked again for each placement, for nodes come and go. trials: of the whole sweep.

        Raises:
            DeviceError: no node has what a trial is to have.
        """
        self._nodes = nodes
        self._needs = needs
        self._policy = policy_of(asked, nodes(), trials)
        self._placed: dict[str, Placed] = {}
        self._smallest: dict[str, ResourceShare] = {}
        self._avoided: set[str] = set()
        """Nodes on which a trial waited in vain: others hold them."""
        self._steady: set[str] = set()
        """Trials whose card nobody came to or left since they last told of an epoch."""
        self._settled: set[str] = set()
        """Those of them beside whom all were steady then already, so that nobody starts during their next epoch."""

    def place(self, key: str, waiting: Sequence[tuple[TrialConfig, MemoryFallback]]) -> int | None:
        """Gives a place to the first waiting trial that may start now; returns which, None if none may.

        Also keeps in mind what trials want, by which `open_to_more` judges.
        """
        requests = self._requests(waiting)
        wants = [(str(place), request.wants) for place, request in enumerate(requests)]
        rooms = self._rooms()
        grants = allocate([room for room in rooms if room.node_id not in self._avoided], wants)[0]
        grants = grants or allocate(rooms, wants)[0]
        if not grants:
            return None
        chosen = int(grants[0].trial)
        self._placed[key] = self._taken(requests[chosen].trial, grants[0].node_id, grants[0].piece)
        self._unsettle(key)
        return chosen

    def open_to_more(self, waiting: Sequence[tuple[TrialConfig, MemoryFallback]]) -> bool:
        """Whether a trial that nobody knows yet might start beside those that wait."""
        requests = self._requests(waiting)
        _, left = allocate(self._rooms(), [(str(place), request.wants) for place, request in enumerate(requests)])
        return any(room.holds(self._smallest.get(room.node_id, ResourceShare(0, 1))) for room in left)

    def release(self, key: str) -> None:
        """Takes back what the trial holds."""
        if key in self._placed:
            self._unsettle(key)
            del self._placed[key]

    def __getitem__(self, key: str) -> Placed:
        return self._placed[key]

    def gpus_held(self) -> float:
        """Returns the cards that are given away, shares of cards added up."""
        return sum(placed.resources.gpus for placed in self._placed.values())

    def wanted(self, key: str | None) -> str:
        """Returns in words the place that a trial was given, or of one that got none what each is to have."""
        if key is not None:
            return f"a worker with {self._placed[key]} on {self._placed[key].host}"
        return "a node with " + asked_in_words(self._policy)

    def there(self) -> str:
        """Returns the nodes and what they have, in words."""
        return "; ".join(f"{node.host}: {node.machine}" for node in self._nodes()) or "no node"

    def hosts(self) -> dict[str, str]:
        """Returns the name of each node that is there, by its id."""
        return {node.node_id: node.host for node in self._nodes()}

    def stranded(self) -> set[str]:
        """Returns the trials whose node is gone."""
        there = {node.node_id for node in self._nodes()}
        return {key for key, placed in self._placed.items() if placed.node_id not in there}

    def elsewhere(self, key: str, relief: MemoryFallback) -> bool:
        """Whether another node that others do not hold has room for the trial now."""
        placed = self._placed[key]
        wants = self._requests([(placed.trial, relief)])[0].wants
        rooms = [room for room in self._rooms() if room.node_id not in {placed.node_id, *self._avoided}]
        return bool(allocate(rooms, [(key, wants)])[0])

    def avoid(self, key: str) -> None:
        """Takes in that others hold the trial's node: it comes last until a trial begins there."""
        self._avoided.add(self._placed[key].node_id)

    def begun(self, key: str) -> None:
        """Takes in that a worker has begun the trial at its place."""
        self._avoided.discard(self._placed[key].node_id)

    def at_once(self, trial: TrialConfig) -> int:
        """Returns how many trials like this one fit at once while nothing else runs."""
        wants = self._requests([(trial, MemoryFallback())])[0].wants
        return sum(room.times(wants[room.node_id]) for room in self._empty_rooms() if room.node_id in wants)

    def ran_out(self, key: str) -> Place:
        """Takes in that the trial's memory was not enough; returns where that was."""
        placed = self._placed[key]
        if placed.card is None:
            return Place("", 0, whole=True, largest_bytes=0)
        if placed.resources.memory_bytes:
            self._needs.exceeded(placed.trial, placed.card, placed.resources.memory_bytes)
        machines = [node.machine for node in self._nodes() if slice_of(self._policy, node.machine, 0, alone=True)]
        return Place(
            placed.card.name,
            placed.card.usable_bytes,
            whole=placed.piece.card >= WHOLE,
            largest_bytes=max((smallest_card(machine).usable_bytes for machine in machines), default=0),
        )

    def measured(self, key: str, peak_bytes: int, images_per_second: float) -> None:
        """Takes in what the trial's tensors took of its card in an epoch, and how fast it was there."""
        placed = self._placed[key]
        if placed.card is None or placed.card.kind != "cuda" or placed.resources.processes > 1:
            return
        self._needs.measured(placed.trial, placed.card, peak_bytes)
        company = self._on_card_of(key)
        if key in self._settled:
            self._needs.trained(placed.trial, placed.card, len(company), images_per_second)
        self._steady.add(key)
        if company <= self._steady:
            self._settled.add(key)

    def _unsettle(self, key: str) -> None:
        company = self._on_card_of(key)
        self._steady -= company
        self._settled -= company

    def _on_card_of(self, key: str) -> set[str]:
        """Returns the trials on this one's cards, itself among them."""
        own = self._placed[key]
        return {
            other
            for other, placed in self._placed.items()
            if placed.node_id == own.node_id and set(placed.numbers) & set(own.numbers)
        }

    def does_not_fit(self, key: str) -> str:
        """Returns a sentence on what the trial lacks, and what would do."""
        placed = self._placed[key]
        parts = f"in micro-batches of {placed.trial.micro_batch_size} images"
        if placed.card is None:
            return f"does not fit the memory of its node, {parts}"
        need = self._needs.on(placed.trial, placed.card) / GIGABYTE
        return (
            f"does not fit {placed.card}, alone and {parts}; a card with about {need:.1f} GB free would do, "
            "or a smaller batch_size, resolution or model"
        )

    def _requests(self, waiting: Sequence[tuple[TrialConfig, MemoryFallback]]) -> list[Request]:
        nodes = self._nodes()
        requests = [
            request_of(self._policy, nodes, trial, self._needs.on, relief, self._needs.most)
            for trial, relief in waiting[:LOOKED_AT]
        ]
        for request in requests:
            for node_id, piece in request.wants.items():
                self._smallest[node_id] = min(piece, self._smallest.get(node_id, piece), key=_size)
        return requests

    def _empty_rooms(self) -> list[FreeResources]:
        return [all_free(node.node_id, len(node.machine.gpus), node.machine.cores) for node in self._nodes()]

    def _rooms(self) -> list[FreeResources]:
        rooms: Mapping[str, FreeResources] = {room.node_id: room for room in self._empty_rooms()}
        held = dict(rooms)
        for placed in self._placed.values():
            if placed.node_id in held:
                held[placed.node_id] = held[placed.node_id].minus(placed.piece, placed.numbers)
        return list(held.values())

    def _taken(self, trial: TrialConfig, node_id: str, piece: ResourceShare) -> Placed:
        node = next(node for node in self._nodes() if node.node_id == node_id)
        room = next(room for room in self._rooms() if room.node_id == node_id)
        card = smallest_card(node.machine) if piece.card else None
        asked = self._policy.asked
        by_memory = asked.trials_per_gpu is None and (asked.gpus == "auto" or asked.gpu_memory != "auto")
        reserved = 0 if card is None or not by_memory else card.usable_bytes * piece.card // WHOLE
        resources = TrialResources(
            cpus=piece.cores / WHOLE,
            gpus=piece.card * piece.cards / WHOLE,
            threads=max(1, piece.cores // WHOLE // asked.ranks),
            processes=asked.ranks,
            node_id=node_id,
            memory_bytes=reserved,
        )
        return Placed(trial, node_id, node.host, piece, room.best(piece), card, resources)


def _size(piece: ResourceShare) -> tuple[int, int]:
    return piece.card * piece.cards, piece.cores
