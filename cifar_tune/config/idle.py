"""Settings that would do nothing: a momentum that the schedule overwrites at every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from cifar_tune.config.messages import Finding
from cifar_tune.config.paths import Loc
from cifar_tune.training.schedules.onecycle import OneCycle

CYCLED = ("momentum", "beta1")
"""Keys of an optimizer that a schedule's momentum replaces."""
VARYING = ("grid", "search")


def idle_findings(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields every momentum that the values of a file give although no trial can train with it.

    tree: a sweep as it is written, not filled in: what nobody wrote is not to be refused. A momentum of 0 is one that
    trials train with: there is then none to cycle.
    """
    if not all(map(_cycles, _schedules(tree))):
        return
    given = _given(_mapping(tree.get("trial")).get("optimizer"), "optimizer", ("trial", "optimizer"))
    varied = (
        _given({"choice": value} if part == "grid" else value, path, (part, path), inside=part == "search")
        for part in VARYING
        for path, value in _mapping(tree.get(part)).items()
        if path.partition(".")[0] == "optimizer"
    )
    for loc, path in chain(given, *varied):
        message = f"`schedule.cycle_momentum` sets the momentum: set it false, or do not give `{path}`"
        yield Finding(loc, message, at_key=True)


def _cycles(schedule: Any) -> bool:
    schedule = {"name": OneCycle().name, **_mapping(schedule)}
    return schedule["name"] == OneCycle().name and schedule.get("cycle_momentum", OneCycle().cycle_momentum) is True


def _schedules(tree: Mapping[str, Any]) -> Iterator[Any]:
    """Yields every schedule that a trial of the sweep may have."""
    varied = {path: _options(value) for part in VARYING for path, value in _mapping(tree.get(part)).items()}
    written = _mapping(_mapping(tree.get("trial")).get("schedule"))
    schedules = varied.get("schedule", [written])
    for key in ("name", "cycle_momentum"):
        if options := varied.get(f"schedule.{key}"):
            schedules = [{**_mapping(one), key: option} for one in schedules for option in options]
    yield from schedules


def _given(value: Any, path: str, loc: Loc, *, inside: bool = True) -> Iterator[tuple[Loc, str]]:
    """Yields where a value, put at `path` of a trial, gives a momentum to no effect, with the path of that."""
    key = path.rpartition(".")[2]
    if key in CYCLED:
        if not _has_effect(key, value):
            yield loc, path
    elif isinstance(value, Mapping) and isinstance(options := value.get("choice"), Sequence):
        for index, option in enumerate(options):
            yield from _given(option, path, (*loc, "choice", index) if inside else (*loc, index))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _given(item, f"{path}.{name}", (*loc, name))


def _has_effect(key: str, value: Any) -> bool:
    """Tells whether it is 0, or the choice between 0 and one other: without momentum, or with a cycled one."""
    options = _options(value)
    return key == "momentum" and 0 in options and len(options) <= 2


def _options(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        value = value.get("choice", [value])
    return value if isinstance(value, list | tuple) else [value]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
