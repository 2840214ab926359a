"""Settings that would do nothing: a momentum that the schedule overwrites, a key that another one switches off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, get_args

from cifar_tune.config.messages import Finding
from cifar_tune.config.paths import Loc
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.schedules.onecycle import OneCycle

CYCLED = ("momentum", "beta1")
"""Keys of an optimizer that a schedule's momentum replaces."""
VARYING = ("grid", "search")
MEMBERS = {
    member.model_fields["name"].default: member
    for union in (AnyDataset, AnyOptimizer, AnySchedule)
    for member in get_args(get_args(union)[0])
}


@dataclass(frozen=True)
class Switch:
    """A key of a component that counts only while another key of it has certain values.

    counts: takes the other key's value. message: `{other}` stands for the other key's path. agrees: a value that says
    what the other key says, and may stand beside it.
    """

    key: str
    other: str
    counts: Callable[[Any], bool]
    message: str
    agrees: Any = None


POSITIVE, TRUE, NULL = (f"has no effect unless `{{other}}` is {value}" for value in ("above 0", "true", "null"))
SWITCHES = (
    Switch("warmup_start", "warmup_epochs", bool, POSITIVE),
    Switch("low_momentum", "cycle_momentum", bool, TRUE),
    Switch("high_momentum", "cycle_momentum", bool, TRUE),
    Switch("nesterov", "momentum", bool, POSITIVE, agrees=False),
    Switch("decay_norms_and_biases", "weight_decay", bool, POSITIVE, agrees=False),
    # Muon updates matrices alone.
    Switch("decay_norms_and_biases", "rest", lambda _: False, "has no effect here; write it in `{other}`"),
    Switch("test_fraction", "test_split", lambda split: split is None, NULL),
    Switch("test_seed", "test_split", lambda split: split is None, NULL),
)


def idle_findings(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields every setting of a file that no trial can train by.

    tree: a sweep as it is written, not filled in: what nobody wrote is not to be refused.
    """
    yield from _cycled_findings(tree)
    for path in ("dataset", "optimizer", "optimizer.rest", "schedule"):
        yield from _switched_findings(tree, path)


def _switched_findings(tree: Mapping[str, Any], path: str) -> Iterator[Finding]:
    """Yields what a key of the component at `path` switches off: where it is varied, or written to ask for something.

    Its default may stand in a file, for readers.
    """
    components = [*_components(tree, path)]
    for switch in SWITCHES:
        key, varied_other = f"{path}.{switch.key}", _varied(tree, f"{path}.{switch.other}")
        message = switch.message.format(other=f"{path}.{switch.other}")
        values = [_values(one, switch.other, varied_other) for _, one in components]
        counts = [not possible or any(map(switch.counts, possible)) for possible in values]
        for (loc, written), counts_here in zip(components, counts, strict=True):
            idle = [*_default(written, switch.key), switch.agrees]
            if not counts_here and written.get(switch.key, switch.agrees) not in idle:
                yield Finding((*loc, switch.key), message, at_key=True)
        if not any(counts):
            yield from (
                Finding((part, key), message, at_key=True) for part in VARYING if key in _mapping(tree.get(part))
            )


def _values(written: Mapping[str, Any], key: str, varied: list[Any]) -> list[Any]:
    """Returns what a component may have at a key, written, by default or varied; nothing if it has no such key."""
    present = [written[key]] if key in written else _default(written, key)
    return [*present, *varied] if present else []


def _default(written: Mapping[str, Any], key: str) -> list[Any]:
    """Returns the default of a component's key in a list, empty where there is none."""
    field = getattr(MEMBERS.get(written.get("name", OneCycle().name)), "model_fields", {}).get(key)
    return [] if field is None or field.is_required() else [field.default]


def _components(tree: Mapping[str, Any], path: str) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    """Yields every component that a trial may have at `path`, with its place in the file."""
    written: Any = tree.get("trial")
    for key in path.split("."):
        written = _mapping(written).get(key)
    yield ("trial", *path.split(".")), _mapping(written)
    for part in VARYING:
        value = _mapping(tree.get(part)).get(path)
        inside: Loc = ("choice",) if part == "search" else ()
        for index, option in enumerate(_options(value) if value is not None else ()):
            yield (part, path, *inside, index), _mapping(option)


def _varied(tree: Mapping[str, Any], path: str) -> list[Any]:
    """Returns what grid and search have at `path`: options, or the whole domain of a number, which counts as true."""
    return [one for part in VARYING if path in _mapping(tree.get(part)) for one in _options(tree[part][path])]


def _cycled_findings(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields every momentum that the values of a file give although no trial can train with it.

    A momentum of 0 is one that trials train with: there is then none to cycle.
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
