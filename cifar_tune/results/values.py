"""Values as the tables hold them: in our columns by the column's kind, in configuration columns by all seen so far."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, SupportsFloat, SupportsIndex, cast

from cifar_tune.errors import ResultsError
from cifar_tune.results.columns import INT64_LIMIT, Column, Kind

EXACT_INTEGERS = 2**53
"""Whole numbers up to here are exact as float64, so that a column may turn from int to float. Source: IEEE 754."""


def coerce(table: str, column: Column, value: object) -> Any:
    """The value as `column` of `table` holds it: float, int, bool, str, an aware datetime, or None. NaN becomes None.

    Raises:
        ResultsError: the value is of another kind, or none of the column's values.
    """
    if value is None:
        return None
    try:
        result = _COERCE[column.kind](value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = f"an {column.kind}" if column.kind == "int" else f"a {column.kind}"
        raise ResultsError(f"{table}: {column.name}: {value!r} is not {kind} ({error})") from error
    if column.values and result not in column.values:
        raise ResultsError(f"{table}: {column.name}: {value!r} is none of {', '.join(column.values)}")
    return result


def _float(value: object) -> float | None:
    number = float(cast(SupportsFloat, value)) if not isinstance(value, str) else _refuse(value)
    return None if math.isnan(number) else number


def _int(value: object) -> int:
    number = operator.index(cast(SupportsIndex, value))
    if not -INT64_LIMIT < number < INT64_LIMIT:
        raise OverflowError("beyond 64 bits")
    return number


def _bool(value: object) -> bool:
    return value if isinstance(value, bool) else _refuse(value)


def _string(value: object) -> str:
    return str(value) if isinstance(value, str | PurePath) else _refuse(value)


def _time(value: object) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError(f"got {type(value).__name__}")
    if moment.tzinfo is None:
        raise ValueError("has no time zone; pass datetime.now(UTC)")
    return moment.astimezone(UTC)


def _refuse(value: object) -> Any:
    raise TypeError(f"got {type(value).__name__}")


_COERCE = {"float": _float, "int": _int, "bool": _bool, "string": _string, "time": _time}


def json_default(value: object) -> object:
    """What `json.dumps` writes for times, paths and NumPy's or torch's scalars.

    Raises:
        TypeError: the value has no JSON form.
    """
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{value!r} has no JSON form")
    return item()


def configuration_value(value: object) -> Any:
    """The value of one `trial.<path>`: bool, int, float, str or None as they are, anything else as JSON text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= EXACT_INTEGERS else str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return json.dumps(value, default=json_default)


def kind_of(value: object) -> Kind:
    """The kind of one configuration value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    return "float" if isinstance(value, float) else "string"


def common_kind(kinds: set[Kind]) -> Kind:
    """The narrowest kind that holds values of all these kinds: int and float give float, other mixtures string."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "float" if kinds == {"int", "float"} else "string"


def as_text(value: object) -> str | None:
    """How a value stands in a column of mixed kinds."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
