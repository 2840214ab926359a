"""Searched parameters as W&B, Ray, Optuna, Ax, NNI and Hydra write them, and how a sweep file writes the same."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("distribution", "type", "_type", "method")
LOWS, HIGHS, STEPS = ("min", "low", "lower"), ("max", "high", "upper"), ("q", "step")
PAIRS = ("bounds", "range", "_value")
LISTS = ("values", "choices", "categories", "_value", "options")
CHOICES = ("choice", "categorical", "grid_search")
RANGES = (
    "uniform",
    "loguniform",
    "log_uniform",
    "log_uniform_values",
    "float",
    "range",
    "interval",
    "discrete_uniform",
)
WHOLE_RANGES = ("int", "int_uniform", "randint", "lograndint")
EXCLUSIVE = ("randint", "lograndint")
"""Of Ray: the upper end is left out, unless the range is quantized. Source: ray.tune.search.sample."""


def as_domain(value: Any) -> str | None:
    """Returns a searched parameter in the words of a sweep file; None where `value` is not known to be one."""
    match value:
        case str():
            return _of_call(value)
        case Mapping():
            return _of_mapping(value)
        case list() | tuple() if len(value) > 1:
            return _choice(value)
    return None


def _of_mapping(value: Mapping[str, Any]) -> str | None:
    """`{min: 0.1, max: 1}`, `{distribution: uniform, ...}`, `{values: [...]}`, `{loguniform: [0.1, 1]}`."""
    kind = next((value[key] for key in KINDS if isinstance(value.get(key), str)), "")
    if not kind and len(value) == 1 and isinstance(inner := next(iter(value.values())), list):
        key = next(iter(value))
        return _choice(inner) if key in LISTS else _written("" if key in PAIRS else key, inner, {})
    pair = next((value[key] for key in PAIRS if isinstance(value.get(key), list)), None)
    ends: list[Any] = [next((value[key] for key in keys if key in value), None) for keys in (LOWS, HIGHS)]
    if kind == "log_uniform" and "distribution" in value and all(map(_is_number, ends)):
        # W&B's bounds of `log_uniform` are exponents of e. Source: docs.wandb.ai, sweep configuration.
        return _written(kind, [float(f"{math.exp(end):.3g}") for end in ends], value)
    if all(map(_is_number, ends)):
        return _written(kind, ends, value)
    items = next((value[key] for key in LISTS if isinstance(value.get(key), list)), None)
    if items is not None and (not kind or _name(kind) in CHOICES):
        return _choice(items)
    return _written(kind, pair, value) if pair is not None else None


def _of_call(text: str) -> str | None:
    """`tune.loguniform(1e-4, 0.1)`, `trial.suggest_float("lr", 1e-4, 0.1, log=True)`, `choice(a, b)`."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call):
            return None
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [one.id if isinstance(one, ast.Name) else ast.literal_eval(one) for one in call.args]
        options = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg}
    except (SyntaxError, ValueError):
        return None
    if name.startswith("suggest_"):
        given = given[1:]  # the parameter's name
    ends = [next((options[key] for key in keys if key in options), None) for keys in (LOWS, HIGHS)]
    if _name(name) in CHOICES:
        items = next((options[key] for key in LISTS if key in options), given)
        return _choice(items[0] if len(items) == 1 and isinstance(items[0], list | tuple) else items)
    return _written(name, ends if not given and all(map(_is_number, ends)) else given, options)


def _name(kind: str) -> str:
    """The distribution: `qloguniform`, `q_log_uniform`, `suggest_loguniform`, `LogUniformDistribution` are one."""
    name = kind.replace("-", "_").lower().removeprefix("suggest_").removesuffix("distribution")
    return name.removeprefix("q_").removeprefix("q")


def _written(kind: str, given: Sequence[Any], options: Mapping[str, Any]) -> str | None:
    name = _name(kind)
    if name in CHOICES:
        return _choice(given)
    if (name and name not in RANGES + WHOLE_RANGES) or len(given) < 2 or not all(map(_is_number, given)):
        return None
    low, high = given[:2]
    whole = name in WHOLE_RANGES or (name in ("", "range") and isinstance(low, int) and isinstance(high, int))
    log = "log" in name or any(options.get(key) is True for key in ("log", "log_scale"))
    step = given[2] if len(given) > 2 else next((options[key] for key in STEPS if key in options), None)
    if name in EXCLUSIVE and step is None:
        high -= 1
    if not low < high:
        return None
    more = ", log: true" if log else f", step: {json.dumps(step)}" if _is_number(step) else ""
    return f"{{{'int' if whole else 'float'}: {json.dumps([low, high])}{more}}}"


def _choice(items: Sequence[Any]) -> str | None:
    try:
        return f"{{choice: {json.dumps(list(items), ensure_ascii=False)}}}" if len(items) > 1 else None
    except TypeError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
