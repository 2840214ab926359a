"""What several objectives ask of the other parts of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from cifar_tune.config.messages import Finding
from cifar_tune.config.samplers import AnySampler
from cifar_tune.config.schedulers import AnyScheduler

FOR_SEVERAL: Mapping[str, Sequence[str]] = {
    "sampler": ("tpe", "random", "gp", "qmc", "nsga2"),
    "scheduler": ("asha", "none"),
}
"""What can go by several objectives; of the others, one number a trial is what they are made of."""

_KNOWN = {
    part: [member.model_fields["name"].default for member in get_args(get_args(union)[0])]
    for part, union in (("sampler", AnySampler), ("scheduler", AnyScheduler))
}


def objectives_findings(sweep: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields what of a sweep's values, read or as they stand in the file, does not suit its objectives."""
    objectives = _listed(sweep.get("objective"))
    for part, allowed in FOR_SEVERAL.items() if len(objectives) > 1 else ():
        name = _value(sweep.get(part), "name")
        if name in _KNOWN[part] and name not in allowed:
            message = f"{name} goes by one objective; with several, allowed are {', '.join(allowed)}"
            yield Finding((part, "name"), message)
    scheduler = sweep.get("scheduler")
    known = _value(scheduler, "name") in FOR_SEVERAL["scheduler"]
    if len(objectives) > 1 and known and _value(scheduler, "audit_fraction"):
        message = "an audit is of one objective; with several, must be 0 or left out"
        yield Finding(("scheduler", "audit_fraction"), message)
    if _asks_for_latency(objectives) and _value(_value(sweep.get("trial"), "evaluation"), "latency") is False:
        yield Finding(
            ("trial", "evaluation", "latency"), "must be true, for latency_seconds is an objective, got false"
        )


def with_latency(trial: Mapping[str, Any], objective: Any) -> Mapping[str, Any]:
    """Returns the values of a trial, which measures its latency where that is an objective, unless it says not to."""
    evaluation = trial.get("evaluation", {})
    if not _asks_for_latency(_listed(objective)) or not isinstance(evaluation, Mapping):
        return trial
    return {**trial, "evaluation": {"latency": True, **evaluation}}


def default_scheduler(objective: Any) -> Mapping[str, Any]:
    """Returns the scheduler of a sweep that names none."""
    return {"name": "asha" if len(_listed(objective)) > 1 else "asha_promotion"}


def unaudited(scheduler: Mapping[str, Any], objective: Any) -> Mapping[str, Any]:
    """Returns the values of a scheduler, without an audit where it goes by several objectives."""
    several = len(_listed(objective)) > 1 and scheduler.get("name") == "asha"
    return {"audit_fraction": 0.0, **scheduler} if several else scheduler


def _listed(objective: Any) -> Sequence[Any]:
    return objective if isinstance(objective, list | tuple) else [objective]


def _asks_for_latency(objectives: Sequence[Any]) -> bool:
    return any(_value(one, "metric") == "latency_seconds" for one in objectives)


def _value(block: Any, key: str) -> Any:
    """Returns a field of a record or of a mapping; None where there is none."""
    if isinstance(block, BaseModel):
        return getattr(block, key, None)
    return block.get(key) if isinstance(block, Mapping) else None
