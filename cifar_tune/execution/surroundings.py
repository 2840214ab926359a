"""Faults of the surroundings: data, storage, disk, network or a node that fails, whatever the configuration.

They say nothing about a trial. It is tried again, and neither its row nor the sampler takes it for a failed one. When
nothing but such faults happens, no trial is handed out for a while, ever longer, and in the end the sweep ends. Pure:
its caller says what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cifar_tune.errors import SurroundingsError

FAULT = "fault"
"""Kind of the store's notes about faults of the surroundings: which trial met it, when, and what it was."""

NODE_LOST = "node_lost"
"""Kind of the store's notes about nodes that left: which, and how many epochs its trials had finished."""

TOLERATED = 3
"""Faults in a row before the sweep pauses: one may be chance, and two trials often run side by side."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
"""A pause is twice as long as the one before: a file server takes seconds to come back, or many minutes."""

REMEMBERED_SECONDS = 60.0
"""For so long a dead worker is put down to its node, if that turns out to be gone: Ray tells of it seconds later."""


def pause_seconds(faults: int) -> float:
    """Returns how long to wait after so many faults, at least one."""
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(faults - 1, 10)))


class FaultsInARow:
    """Counts the faults since a trial last finished an epoch."""

    def __init__(self, patience_seconds: float) -> None:
        """patience_seconds: from the first of the faults until the sweep ends."""
        self._patience = patience_seconds
        self.forget()

    def forget(self) -> None:
        """Takes in that a trial has finished an epoch: the surroundings are well."""
        self._count = 0
        self._since = 0.0
        self._paused_until = 0.0
        self._reason = ""

    def add(self, reason: str, *, now: float) -> None:
        """Takes in a fault. now: in seconds, of a clock that never goes back.

        Only a fault ends a sweep, never the mere time: after a short outage the next epoch may take hours.

        Raises:
            SurroundingsError: for longer than the patience, nothing but faults has happened.
        """
        self._since = now if self._count == 0 else self._since
        self._count += 1
        self._reason = reason
        if self._count >= TOLERATED:
            self._paused_until = now + pause_seconds(self._count - TOLERATED + 1)
        if self._count >= TOLERATED and now - self._since >= self._patience:
            raise SurroundingsError(
                f"{self._count} times in a row a trial could not train, for a reason outside of its configuration. "
                f"The last:\n  {self._reason}\nresources.retry_minutes: {self._patience / 60:g} is how long this is "
                "tried. No trial counts as failed for it"
            )

    def told(self, now: float) -> str | None:
        """Returns what the sweep waits for in a pause, None outside one."""
        if now >= self._paused_until:
            return None
        return f"{self._reason}; trying again in {self._paused_until - now:.0f} s ({self._count} faults in a row)"


@dataclass(frozen=True)
class LostNode:
    """A node that has left. epochs: of each trial that was on it, how many were finished."""

    host: str
    epochs: Mapping[str, int]

    def __str__(self) -> str:
        trials = ", ".join(f"{trial_id} from epoch {epoch + 1}" for trial_id, epoch in sorted(self.epochs.items()))
        return f"node {self.host} is gone; " + (f"going on elsewhere: {trials}" if trials else "no trial was on it")


class NodeWatch:
    """Finds out which nodes have left, and which trials were on them."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        """hosts: the name of each node by its id."""
        self._hosts = hosts
        self._deaths: list[tuple[float, str, str, int]] = []

    def died(self, node_id: str, trial_id: str, epoch: int, *, now: float) -> None:
        """Takes in that a trial's worker has died. epoch: the last one finished."""
        self._deaths = [death for death in self._deaths if now - death[0] < REMEMBERED_SECONDS]
        self._deaths.append((now, node_id, trial_id, epoch))

    def gone(self, hosts: Mapping[str, str], out: Iterable[tuple[str, str, int]]) -> list[LostNode]:
        """Returns the nodes that were there when this was last called, and are not now.

        out: the trials that are placed: node id, trial and last epoch finished.
        """
        lost = {node_id: host for node_id, host in self._hosts.items() if node_id not in hosts}
        self._hosts = hosts
        were = [(node_id, trial_id, epoch) for _, node_id, trial_id, epoch in self._deaths] + list(out) if lost else []
        return [
            LostNode(host, {trial_id: epoch for where, trial_id, epoch in were if where == node_id})
            for node_id, host in lost.items()
        ]
