"""What the trials of a sweep may have at each location: as the file has it, and by grid and search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cifar_tune.config.paths import Loc, locate, with_default_names
from cifar_tune.training.trial import TrialConfig


class TrialValues:
    """The values that a sweep file has for each location of a trial, each with where it is written in the file.

    Attributes:
        varied: Each value of grid and search: where it is written, its location in the trial, and the value.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        """Reads a sweep as it is written, not filled in."""
        self._trial = with_default_names(tree.get("trial"), TrialConfig)
        self.varied: list[tuple[Loc, Loc, Any]] = []
        for part in ("grid", "search"):
            block = tree.get(part)
            for path, value in block.items() if isinstance(block, Mapping) else ():
                try:
                    loc = locate(self._trial, path)
                except LookupError:
                    continue  # The command that trains one trial does not check the grid and search of its file.
                if part == "grid" and isinstance(value, list):
                    self.varied += [((part, path, index), loc, option) for index, option in enumerate(value)]
                else:
                    self.varied.append(((part, path), loc, value))

    def at(self, loc: Loc) -> Iterator[tuple[Loc, Any]]:
        """Yields each value for a location, with where it is written. Defaults are not among them."""
        yield from inside(self._trial, loc, ("trial",))
        for where, varied_loc, value in self.varied:
            if varied_loc == loc[: len(varied_loc)]:
                yield from inside(value, loc[len(varied_loc) :], where)

    def varied_at(self, loc: Loc) -> Mapping[Loc, list[Any]]:
        """Returns the values of each entry of grid and search that is for exactly this location."""
        entries: dict[Loc, list[Any]] = {}
        for where, varied_loc, value in self.varied:
            if varied_loc == loc:
                part_and_path = where[:2]
                entries.setdefault(part_and_path, []).extend(option for _, option in inside(value, (), where))
        return entries


def inside(value: Any, loc: Loc, where: Loc) -> Iterator[tuple[Loc, Any]]:
    """Yields what stands at a location inside a value, with where that is written.

    Of a choice these are all options, of a range its two ends.
    """
    if isinstance(value, Mapping):
        if isinstance(options := value.get("choice"), list):
            for index, option in enumerate(options):
                yield from inside(option, loc, (*where, "choice", index))
            return
        if isinstance(ends := value.get("float", value.get("int")), list):
            yield from ((where, end) for end in ends)
            return
    if not loc:
        yield where, value
        return
    try:
        item = value[loc[0]]
    except (TypeError, LookupError):
        return
    yield from inside(item, loc[1:], (*where, loc[0]))
