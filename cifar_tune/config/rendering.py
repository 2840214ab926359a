"""Values as short, stable text: cells of the results table, labels of choices and heat maps."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

Scalar: TypeAlias = bool | int | float | str | None
PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./-]*")


def render(value: Any) -> str:
    """Returns a value as text: `adamw(lr=0.01)` for a component, `flip,crop(padding=4)` for a list of them.

    Options of a validated component that are at their default are left out. Values of one field that differ have
    different texts.
    """
    match value:
        case BaseModel():
            return render(_without_defaults(value))
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return (
                value
                if PLAIN_TEXT.fullmatch(value) and value not in {"null", "true", "false", "none"}
                else json.dumps(value)
            )
        case list() | tuple():
            return ",".join(_nested(item) for item in value) or "none"
        case Mapping():
            name = render(value["name"]) if isinstance(value.get("name"), str) else ""
            options = ",".join(f"{key}={_nested(item)}" for key, item in value.items() if key != "name" or not name)
            return f"{name}({options})" if options or not name else name
        case _:
            return repr(value)


def flatten(trial: BaseModel) -> dict[str, Scalar]:
    """Returns every configuration value of a trial by dotted path.

    Lists become text by `render`; the values of an optional block that is absent are None.
    """
    return dict(_leaves(trial, ""))


def _leaves(model: BaseModel, prefix: str) -> Iterator[tuple[str, Scalar]]:
    for key, field in type(model).model_fields.items():
        match getattr(model, key):
            case BaseModel() as block:
                yield from _leaves(block, f"{prefix}{key}.")
            case None:
                yield from ((path, None) for path in _absent(field.annotation, f"{prefix}{key}"))
            case list() | tuple() | Mapping() as items:
                yield f"{prefix}{key}", render(items)
            case value:
                yield f"{prefix}{key}", value


def _absent(annotation: Any, path: str) -> Iterator[str]:
    """Yields the paths of an optional value: those of its fields where it is a block of one kind."""
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    blocks = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
    if len(blocks) != 1:
        yield path
        return
    for key, field in blocks[0].model_fields.items():
        yield from _absent(field.annotation, f"{path}.{key}")


def _without_defaults(model: BaseModel) -> dict[str, Any]:
    changed = {
        field.alias or key: getattr(model, key)
        for key, field in type(model).model_fields.items()
        if key != "name"
        and (field.is_required() or getattr(model, key) != field.get_default(call_default_factory=True))
    }
    return {**({"name": model.name} if hasattr(model, "name") else {}), **changed}


def _nested(value: Any) -> str:
    return f"[{render(value)}]" if isinstance(value, list | tuple) else render(value)
