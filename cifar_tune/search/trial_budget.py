"""How many trials each study has started, and which studies have trials left to propose."""

from __future__ import annotations

from collections.abc import Iterator

MOST_REFUSED = 200
"""Proposals in a row that are refused before a study is taken to be exhausted: where one in fifty can be trained,
chance finds it in 98 of 100 cases."""


class TrialBudget:
    """Counts what studies started and what of their proposals was refused."""

    def __init__(self, studies: int, most: int) -> None:
        """most: trials of a study."""
        self.started = [0] * studies
        """Of each study, those beyond its number of trials left out."""
        self.total = 0
        """Trials of all studies."""
        self._most = most
        self._refused = [0] * studies
        self._refusals: dict[int, str] = {}

    @property
    def next_id(self) -> str:
        """The name of the next trial: `t0001` is the first of the sweep."""
        return f"t{self.total + 1:04}"

    def start(self, study: int, *, beyond: bool) -> str:
        """Takes in the next trial; returns its name. beyond: one that takes another's place."""
        trial_id = self.next_id
        self.total += 1
        if not beyond:
            self.started[study] += 1
            self._refused[study] = 0
        return trial_id

    def refuse(self, study: int, reason: str) -> None:
        """Takes in a proposal that cannot be trained."""
        self._refused[study] += 1
        self._refusals[study] = reason

    def gives_up(self, study: int) -> bool:
        """Tells whether a study has had too many refused in a row."""
        return self._refused[study] >= MOST_REFUSED

    def open(self) -> list[int]:
        """Returns the studies that have trials left to propose."""
        return [study for study, count in enumerate(self.started) if count < self._most and not self.gives_up(study)]

    def exhausted_studies(self) -> Iterator[tuple[int, str]]:
        """Yields the studies that gave up, with why the last proposal was refused."""
        for study, count in enumerate(self.started):
            if count < self._most and self.gives_up(study):
                yield study, self._refusals[study]
