"""Settings that would do nothing: a momentum that the schedule overwrites, and keys that other keys switch off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any

from pydantic import BaseModel

from cifar_tune.config.messages import Finding
from cifar_tune.config.paths import Loc, dotted
from cifar_tune.config.switches import COMPONENTS, OTHER_KEYS, SWITCHES, Switch
from cifar_tune.config.trial_values import TrialValues, inside
from cifar_tune.training.schedules.onecycle import OneCycle
from cifar_tune.training.trial import TrialConfig

CYCLED = ("momentum", "beta1")
"""Keys of an optimizer that a schedule's momentum replaces."""
VARYING = ("grid", "search")


def idle_findings(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields every setting of a file that no trial can train by.

    tree: a sweep as it is written, not filled in: what nobody wrote is not to be refused.
    """
    yield from _cycled_findings(tree)
    values = TrialValues(tree)
    for component in COMPONENTS:
        for loc in _locations(component, values):
            for switch in SWITCHES:
                if switch.component == loc[0]:
                    yield from _switch_findings(switch, values, component, loc)


def _locations(component: str, values: TrialValues) -> Iterator[Loc]:
    """Yields where a trial may have such a component. Augmentations are a list of them."""
    if component == "augmentations":
        lengths = [len(listed) for _, listed in values.at((component,)) if isinstance(listed, list)]
        yield from ((component, index) for index in range(max(lengths, default=0)))
    else:
        yield tuple(component.split("."))


def _switch_findings(switch: Switch, values: TrialValues, component: str, loc: Loc) -> Iterator[Finding]:
    """Yields each key that is given in vain, since no trial has what switches it on.

    Values of different keys are combined freely, though grid and search may never combine them: a key is refused only
    where nothing lets it count.
    """
    idle: dict[str, str] = {}
    counting: set[str] = set()
    written = [(where, block) for where, block in values.at(loc) if isinstance(block, Mapping)]
    for where, block in written or [(("trial", *loc), {})]:
        for schema in _schemas(block, values, component, loc):
            keys = _switched_keys(switch, schema)
            if not keys or _counts(switch, block, schema, values, loc):
                counting |= schema.model_fields.keys()
                continue
            paths = [dotted((*loc, other)) if other in schema.model_fields else other for other in switch.others]
            message = switch.message.format(*paths)
            idle |= dict.fromkeys(keys, message)
            for key in keys:
                if any(_asks(switch, schema, key, value) for _, value in inside(block, (key,), ())):
                    yield Finding((*where, key), message, at_key=True)
    for key in idle.keys() - counting:
        yield from (Finding(where, idle[key], at_key=True) for where in values.varied_at((*loc, key)))


def _schemas(block: Mapping[str, Any], values: TrialValues, component: str, loc: Loc) -> list[type[BaseModel]]:
    """Returns the schemas that a block may have: by its name, or by those that grid and search give it."""
    members = COMPONENTS[component]
    if "name" not in members[0].model_fields:
        return [*members]
    names = [block.get("name", members[0].model_fields["name"].default)]
    names += chain.from_iterable(values.varied_at((*loc, "name")).values())
    return [member for member in members if member.model_fields["name"].default in names]


def _switched_keys(switch: Switch, schema: type[BaseModel]) -> list[str]:
    """Returns the keys that the switch is for in this schema: none where the schema lacks what switches them."""
    if not {*switch.others} <= {*schema.model_fields, *TrialConfig.model_fields}:
        return []
    if switch.keys == OTHER_KEYS:
        return [key for key in schema.model_fields if key not in ("name", *switch.others)]
    return [key for key in switch.keys if key in schema.model_fields]


def _counts(switch: Switch, block: Mapping[str, Any], schema: type[BaseModel], values: TrialValues, loc: Loc) -> bool:
    """Tells whether any of the values that a trial may have switches the keys on."""
    possible = [
        _values_of_block(block, schema, values, (*loc, other))
        if other in schema.model_fields
        else _values_of_trial(values, other)
        for other in switch.others
    ]
    return any(_lets_count(switch, combination) for combination in product(*possible))


def _lets_count(switch: Switch, combination: tuple[Any, ...]) -> bool:
    try:
        return switch.counts(*combination)
    except (TypeError, ValueError):
        # A value of the wrong type: the command that trains one trial does not check the file's grid and search.
        return True


def _values_of_block(block: Mapping[str, Any], schema: type[BaseModel], values: TrialValues, loc: Loc) -> list[Any]:
    """Returns what a key of a block may be. loc: of the key in the trial."""
    own = [value for _, value in inside(block, loc[-1:], ())] or _default(schema, str(loc[-1]))
    return [*own, *chain.from_iterable(values.varied_at(loc).values())]


def _values_of_trial(values: TrialValues, key: str) -> list[Any]:
    """Returns what a key of the trial itself may be. A varied path that leads below it makes the block exist."""
    own = [value for _, value in values.at((key,))] or _default(TrialConfig, key)
    return own + [{} for _, loc, _ in values.varied if loc[0] == key and len(loc) > 1]


def _default(schema: type[BaseModel], key: str) -> list[Any]:
    """Returns a key's default in a list, which is empty where the key is required."""
    field = schema.model_fields[key]
    return [] if field.is_required() else [field.default]


def _asks(switch: Switch, schema: type[BaseModel], key: str, value: Any) -> bool:
    """Tells whether a value that is written for a switched key asks for something."""
    match switch.refused:
        case "varied":
            return False
        case "changed":
            return value not in _default(schema, key)
        case "given":
            return value is not False


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
