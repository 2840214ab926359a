"""Which node each waiting trial goes to, and with which share of a card there. Pure: all that it knows is passed in.

A share is a whole number of `WHOLE` parts, the steps in which Ray counts. Cards of one node count as alike, for Ray
chooses among them: the fullest that has room (`NodeResourceInstanceSet::TryAllocate`), as is done here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

WHOLE = 10_000
"""Parts of a whole card, or of a core. Source: Ray, FixedPoint resources."""


@dataclass(frozen=True)
class ResourceShare:
    """What a trial takes of a node: parts of each of so many cards, 0 without, and parts of cores."""

    card: int
    cores: int
    cards: int = 1


@dataclass(frozen=True)
class FreeResources:
    """What is left of a node: parts of each card, and parts of cores."""

    node_id: str
    cards: tuple[int, ...]
    cores: int

    def holds(self, piece: ResourceShare) -> bool:
        """Whether the piece fits now."""
        return piece.cores <= self.cores and (not piece.card or len(self.best(piece)) == piece.cards)

    def best(self, piece: ResourceShare) -> tuple[int, ...]:
        """Returns which cards the piece goes to: the fullest that have room. None where it takes none."""
        able = sorted((parts, place) for place, parts in enumerate(self.cards) if parts >= piece.card > 0)
        return tuple(place for _, place in able[: piece.cards])

    def minus(self, piece: ResourceShare, numbers: Sequence[int]) -> FreeResources:
        """Returns the room left when the piece is taken of these cards."""
        cards = tuple(parts - piece.card * (place in numbers) for place, parts in enumerate(self.cards))
        return replace(self, cards=cards, cores=self.cores - piece.cores)

    def times(self, piece: ResourceShare) -> int:
        """Returns how many such pieces fit."""
        by_cores = self.cores // piece.cores
        if not piece.card:
            return by_cores
        return min(by_cores, sum(parts // piece.card for parts in self.cards) // piece.cards)


@dataclass(frozen=True)
class Allocation:
    """A trial's place."""

    trial: str
    node_id: str
    piece: ResourceShare


ResourceRequest = Mapping[str, ResourceShare]
"""What a trial would take of each node that could ever hold it, by node; empty if none could."""


def allocate(
    rooms: Sequence[FreeResources], waiting: Sequence[tuple[str, ResourceRequest]]
) -> tuple[list[Allocation], list[FreeResources]]:
    """Returns who may start now, and the rooms that are then open to trials not yet known.

    waiting: (trial, wants), the longest waiting first. Each goes where it takes the largest share, so that small trials
    leave large cards to large ones, and among such nodes to the emptiest. One that fits nowhere now closes the node
    that comes nearest to holding it, to all behind it: what is lacking there can then only shrink; nothing starves.
    """
    left = {room.node_id: room for room in rooms}
    grants = []
    for trial, wants in waiting:
        fitting = [node_id for node_id, piece in wants.items() if node_id in left and left[node_id].holds(piece)]
        if fitting:
            node_id = max(fitting, key=lambda node_id: (wants[node_id].card, _free(left[node_id])))
            left[node_id] = left[node_id].minus(wants[node_id], left[node_id].best(wants[node_id]))
            grants.append(Allocation(trial, node_id, wants[node_id]))
        elif near := [node_id for node_id in wants if node_id in left]:
            del left[min(near, key=lambda node_id: lacking(left[node_id], wants[node_id]))]
    return grants, list(left.values())


def _free(room: FreeResources) -> tuple[int, int]:
    return sum(room.cards), room.cores


def lacking(room: FreeResources, piece: ResourceShare) -> int:
    """Returns the parts that must come free before the room holds the piece."""
    emptiest = sorted((*room.cards, *[0] * piece.cards), reverse=True)[: piece.cards]
    return sum(max(0, piece.card - parts) for parts in emptiest) + max(0, piece.cores - room.cores)


def all_free(node_id: str, cards: int, cores: int) -> FreeResources:
    """Returns a node's room while nothing runs there."""
    return FreeResources(node_id, (WHOLE,) * cards, cores * WHOLE)
