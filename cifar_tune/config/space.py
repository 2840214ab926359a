"""Whether every trial that a sweep can propose is one that can be trained.

The ends of every range, every option of every choice and every cell of the grid are put into the baseline and validated
by the trial's own schema, alone and in pairs. A trial that the schema refuses is blamed on the values that made it so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cifar_tune.config.domains import DOMAIN_KEYS, ChoiceDomain, Domain
from cifar_tune.config.messages import Finding, explain
from cifar_tune.config.paths import Loc, dotted, locate, replace
from cifar_tune.config.rendering import render
from cifar_tune.training.trial import TrialConfig

MOST_CELLS = 10_000
"""Studies of a sweep: as many as the trials that the bookkeeping is measured with."""
MOST_VALIDATED = 2_000
"""Trials validated when a sweep is read: at 40 us each, 0.1 s. Cells come first, pairs last."""
MOST_FINDINGS = 100
"""More are of no help, and take 1 ms each to put into words."""

NOT_VARIED = {
    "epochs": "trials of different length cannot be ranked against each other; write one sweep for each length",
    "seed": "trials get their seeds from the sweep's `seed`, so that equal configurations differ in nothing else",
}
OTHER_IMAGES = "scores on different validation images cannot be ranked against each other; put it under `grid`"
NO_VALIDATION = "a search needs validation images to rank its trials by; must be greater than 0"
HELD_OUT = ("dataset", "validation_fraction")
SAME_IMAGES = {"resolution", "mean", "std"}
"""Options of a data set that leave it the same images."""


@dataclass(frozen=True)
class Varied:
    """One value in the place of the baseline's. loc: in the trial. where: in the sweep file."""

    path: str
    loc: Loc
    value: Any
    where: Loc

    def __str__(self) -> str:
        return f"{self.path} = {render(self.value)}"


class Space:
    """The values that a sweep puts into its baseline, and what is wrong with them."""

    def __init__(
        self, baseline: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], search: Mapping[str, Domain]
    ) -> None:
        self.findings: list[Finding] = []
        """Everything wrong, in the order in which it was found."""
        self.trials: dict[TrialConfig, tuple[Varied, ...]] = {}
        """The distinct trials that were validated, the baseline first, with what makes them differ from it."""
        self._baseline = baseline
        self._broken: list[frozenset[Loc]] = []
        self._known: tuple[Finding, ...] = ()
        self._validated = 0
        self._known = tuple(self._problems(()))

        locs = dict(self._locate(grid, search))
        axes = [self._axis(path, values, locs[path]) for path, values in grid.items() if path in locs]
        ranges = [self._range(path, domain, locs[path]) for path, domain in search.items() if path in locs]
        self._check_cells(axes)
        self._check_ranges(axes, ranges)
        self.findings += self._without_validation()

    def _without_validation(self) -> Iterator[Finding]:
        """Yields the values that leave a trial no validation images."""
        wheres = {
            next((one.where for one in varied if one.loc[0] == "dataset"), ("trial", *HELD_OUT)): None
            for trial, varied in self.trials.items()
            if trial.dataset.validation_fraction == 0
        }
        yield from (Finding(where, NO_VALIDATION, at_key=False) for where in wheres)

    def _locate(self, grid: Mapping[str, Any], search: Mapping[str, Any]) -> Iterator[tuple[str, Loc]]:
        """Yields the paths that can be varied, with their locations in the trial."""
        taken: dict[Loc, str] = {}
        for part, path in [("grid", path) for path in grid] + [("search", path) for path in search]:
            if path.startswith("trial."):
                inside = path.removeprefix("trial.")
                self._find((part, path), f"paths lead into `trial` and do not name it; write `{inside}`")
                continue
            try:
                loc = locate(self._baseline, path)
            except LookupError as error:
                if not any(_leads_through(path, known.loc) for known in self._known):
                    self._find((part, path), str(error.args[0]))
                continue
            refused = NOT_VARIED.get(path) or (OTHER_IMAGES if part == "search" and self._changes_images(loc) else None)
            clash = next((other for other in taken if other[: len(loc)] == loc[: len(other)]), None)
            if refused:
                self._find((part, path), f"cannot be varied here: {refused}")
            elif clash is not None:
                self._find((part, path), _clash(f"{part}.{path}", loc, taken[clash], clash))
            else:
                taken[loc] = f"{part}.{path}"
                yield path, loc

    def _changes_images(self, loc: Loc) -> bool:
        return loc == ("dataset",) or (
            loc[0] == "dataset" and loc[1] in self._baseline["dataset"] and loc[1] not in SAME_IMAGES
        )

    def _axis(self, path: str, values: Sequence[Any], loc: Loc) -> list[Varied]:
        where = ("grid", path)
        if len(values) < 2:
            held = (
                f"the one value {render(values[0])}; write it into `trial`" if values else "no value; list at least two"
            )
            self._find(where, f"the axis holds {held}", at_key=False)
            return []
        axis = [Varied(path, loc, value, (*where, index)) for index, value in enumerate(values)]
        for one in axis:
            if isinstance(one.value, Mapping) and any(key in one.value for key in DOMAIN_KEYS):
                self._find(one.where, "a range cannot be a value of the grid; put it under `search`", at_key=False)
                return []
        self._check_twins(axis)
        return axis

    def _check_twins(self, axis: Sequence[Varied]) -> None:
        made: dict[TrialConfig, Varied] = {}
        for one in axis:
            try:
                twin = made.setdefault(TrialConfig.model_validate(self._tree([one])), one)
            except ValidationError:
                continue
            if twin is not one:
                self._find(one.where, f"{render(one.value)} makes the same trial as {render(twin.value)}", at_key=False)

    def _range(self, path: str, domain: Domain, loc: Loc) -> list[Varied]:
        return [Varied(path, loc, value, ("search", path, *inner)) for inner, value in probes(domain)]

    def _check_cells(self, axes: Sequence[Sequence[Varied]]) -> None:
        cells = math.prod(len(axis) for axis in axes if axis)
        if cells > MOST_CELLS:
            self._find(("grid",), f"the grid has {cells:,} cells; at most {MOST_CELLS:,} are allowed")
            return
        for cell in _cells(axes):
            self._check(cell)

    def _check_ranges(self, axes: Sequence[Sequence[Varied]], ranges: Sequence[Sequence[Varied]]) -> None:
        """Puts each value of each range, then each pair of two ranges' values, into every cell that is sound itself."""
        cells = [cell for cell in itertools.islice(_cells(axes), MOST_VALIDATED) if not self._is_broken(cell)] or [()]
        for cell in cells:
            for value in itertools.chain.from_iterable(ranges):
                self._check((*cell, value))
        for cell in cells:
            for one, other in itertools.combinations(ranges, 2):
                for pair in itertools.product(one, other):
                    self._check((*cell, *pair))

    def _is_broken(self, varied: Sequence[Varied]) -> bool:
        wheres = {one.where for one in varied}
        return any(broken <= wheres for broken in self._broken)

    def _check(self, varied: tuple[Varied, ...]) -> None:
        """Puts these values into the baseline, and what is then wrong with it to their account."""
        enough = self._validated >= MOST_VALIDATED or len(self.findings) >= MOST_FINDINGS
        if enough or self._is_broken(varied):
            return
        self._validated += 1
        findings = self._problems(varied)
        for finding in findings:
            culprits = self._culprits(finding, varied)
            self._broken.append(frozenset(one.where for one in culprits))
            blamed = _blame(finding, culprits)
            if blamed not in self.findings:
                self.findings.append(blamed)

    def _problems(self, varied: tuple[Varied, ...]) -> list[Finding]:
        """Returns what is wrong with the trial of these values and not with the baseline; notes a sound one."""
        tree = self._tree(varied)
        try:
            self.trials.setdefault(TrialConfig.model_validate(tree), varied)
        except ValidationError as error:
            return [finding for finding in explain(error, TrialConfig, tree) if finding not in self._known]
        return []

    def _tree(self, varied: Sequence[Varied]) -> Mapping[str, Any]:
        tree = self._baseline
        for one in varied:
            tree = replace(tree, one.loc, one.value)
        return tree

    def _culprits(self, finding: Finding, varied: tuple[Varied, ...]) -> tuple[Varied, ...]:
        """Returns the fewest of these values that still give the finding."""
        for one in varied:
            fewer = tuple(other for other in varied if other is not one)
            if finding in self._problems(fewer):
                varied = fewer
        return varied

    def _find(self, loc: Loc, message: str, at_key: bool = True) -> None:
        self.findings.append(Finding(loc, message, at_key))


def probes(domain: Domain) -> Iterator[tuple[Loc, Any]]:
    """Yields (location in the domain as written, value): both ends of a range, every option of a choice.

    An option with ranges of its own is yielded with all of them at their first value, then with each at each other one.
    """
    if not isinstance(domain, ChoiceDomain):
        yield from (((), value) for value in domain.probes)
        return
    for index, option in enumerate(domain.options.values()):
        inner = {dotted(loc): [value for _, value in probes(one)] for loc, one in option.located}
        first = {path: values[0] for path, values in inner.items()}
        yield ("choice", index), option.fill(first)
        for path, values in inner.items():
            yield from ((("choice", index), option.fill({**first, path: value})) for value in values[1:])


def _cells(axes: Sequence[Sequence[Varied]]) -> Iterator[tuple[Varied, ...]]:
    return itertools.product(*(axis for axis in axes if axis))


def _blame(finding: Finding, varied: Sequence[Varied]) -> Finding:
    """Returns the finding at the value in the sweep file that caused it."""
    others = f" (with {_listed(varied)})" if len(varied) > 1 else ""
    for one in reversed(varied):
        inner = finding.loc[len(one.loc) :]
        if finding.loc[: len(one.loc)] == one.loc and (inner or not finding.at_key):
            return Finding((*one.where, *inner), finding.message + others, finding.at_key)
        if one.loc[: len(finding.loc)] == finding.loc and finding.at_key:
            return Finding(one.where[:2], finding.message, at_key=True)
        if one.loc[-1] == "name" and finding.loc[: len(one.loc) - 1] == one.loc[:-1]:
            whole = dotted(one.loc[:-1])
            message = f"{one} does not take all options of the baseline's; vary `{whole}` as a whole, options and all"
            return Finding(one.where, message)
    return Finding(varied[-1].where, finding.message + others)


def _leads_through(path: str, loc: Loc) -> bool:
    return f"{path}.".startswith(f"{dotted(loc)}.")


def _listed(varied: Sequence[Varied]) -> str:
    return ", ".join(str(one) for one in varied)


def _clash(path: str, loc: Loc, other: str, other_loc: Loc) -> str:
    if loc == other_loc:
        return f"stands in `{other}` already; vary it in one place"
    outer, inner = (path, other) if len(loc) < len(other_loc) else (other, path)
    return f"`{outer}` replaces the whole block that `{inner}` leads into; vary one of them"
