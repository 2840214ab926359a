"""Dotted paths into a tree of plain values, as `grid`, `search` and `--set` write them.

A part of a path is a key, the index of a list item, or the name of the one list item that has it:
`augmentations.1.padding` and `augmentations.crop.padding` may mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel

Loc: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the top of a tree down to a value."""


def dotted(loc: Loc) -> str:
    """Returns a location as the user writes it."""
    return ".".join(str(part) for part in loc)


def locate(tree: Any, path: str) -> Loc:
    """Returns where `path` points: names of list items become indices, the rest need not exist yet.

    Raises:
        LookupError: with a message for the user, where the path cannot lead anywhere.
    """
    loc: list[str | int] = []
    for part in path.split("."):
        here = dotted(tuple(loc))
        if not part:
            raise LookupError(f"the path {path!r} has an empty part")
        if isinstance(tree, Sequence) and not isinstance(tree, str):
            index = _item(tree, part, here)
            loc.append(index)
            tree = tree[index]
        elif tree is None or isinstance(tree, Mapping):
            loc.append(part)
            tree = tree.get(part) if tree else None
        else:
            raise LookupError(f"`{here}` is a single value, there is no `{part}` in it")
    return tuple(loc)


def _item(items: Sequence[Any], part: str, here: str) -> int:
    if part.isdecimal():
        if int(part) < len(items):
            return int(part)
        raise LookupError(
            f"`{here}` has no item {part}; " + (f"0 to {len(items) - 1} are there" if items else "it is empty")
        )
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    if names.count(part) == 1:
        return names.index(part)
    if part in names:
        raise LookupError(f"`{here}` holds `{part}` {names.count(part)} times; say which by its index, from 0")
    named = ", ".join(name for name in names if isinstance(name, str))
    raise LookupError(f"`{here}` holds no `{part}`; " + (f"it holds {named}" if named else "it is empty"))


def get(tree: Any, loc: Loc) -> Any:
    """Returns the value at `loc`. Raises KeyError where there is none."""
    for part in loc:
        try:
            tree = tree[part]
        except (TypeError, IndexError, KeyError):
            raise KeyError(dotted(loc)) from None
    return tree


def replace(tree: Any, loc: Loc, value: Any) -> Any:
    """Returns a copy of `tree` with `value` at `loc`; a missing or null block on the way is created."""
    if not loc:
        return value
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        assert isinstance(loc[0], int)
        return [replace(item, loc[1:], value) if index == loc[0] else item for index, item in enumerate(tree)]
    tree = tree or {}
    return {**tree, loc[0]: replace(tree.get(loc[0]), loc[1:], value)}


def with_default_names(tree: Any, schema: type[BaseModel]) -> Any:
    """Returns a copy of `tree` in which a component that it leaves to its default is there by name.

    So that a path may lead into it: `schedule.pct_start` where no schedule is written means the default one's.
    """
    if not isinstance(tree, Mapping):
        return tree
    names = {key: getattr(field.default, "name", None) for key, field in schema.model_fields.items()}
    return {**{key: {"name": name} for key, name in names.items() if name and key not in tree}, **tree}
