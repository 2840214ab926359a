"""What a field allows, in words, read off its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from cifar_tune.config.paths import Loc

WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


@dataclass(frozen=True)
class Node:
    """One place of a JSON schema; references are followed."""

    schema: Mapping[str, Any]
    definitions: Mapping[str, Any]

    def at(self, schema: Mapping[str, Any]) -> Node:
        """Returns another place of the same schema."""
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        return Node(schema, self.definitions)

    def branches(self) -> list[Node]:
        """Returns the alternatives of a union, or the place itself."""
        for union in ("anyOf", "oneOf"):
            if union in self.schema:
                return [inner for branch in self.schema[union] for inner in self.at(branch).branches()]
        return [self]

    def members(self) -> Mapping[str, Any]:
        """Returns the components that the place may name, by name; empty where it names none."""
        for branch in (self.schema, *self.schema.get("anyOf", ())):
            if "discriminator" in branch:
                return dict(branch["discriminator"]["mapping"])
        return {}

    def names(self) -> str:
        """Returns the components that the place may name, in words."""
        return _or([*self.members()])

    def child(self, part: str | int) -> Node | None:
        """Returns the place of a key or of a list item."""
        for branch in self.branches():
            schema = branch.schema
            if isinstance(part, str) and schema.get("type") == "object":
                inner = schema.get("properties", {}).get(part) or schema.get("additionalProperties")
            elif isinstance(part, int) and schema.get("type") == "array":
                inner = (schema.get("prefixItems", [])[part : part + 1] or [schema.get("items")])[0]
            else:
                continue
            if isinstance(inner, Mapping):
                return self.at(inner)
        return None

    def branch_of(self, tag: str | int) -> Node:
        """Returns the alternative of a union that pydantic means by `{key}`: the one that requires this key."""
        requiring = [branch for branch in self.branches() if f"{{{branch.schema.get('required', [''])[0]}}}" == tag]
        return requiring[0] if requiring else self

    def fields(self) -> Sequence[str]:
        """Returns the keys that the place may hold."""
        return [key for branch in self.branches() for key in branch.schema.get("properties", {})]

    def allowed(self) -> str:
        """Returns what the value may be: `a number of at least 0 and below 1`, `sgd or adamw`."""
        if self.members():
            nullable = any(branch.schema.get("type") == "null" for branch in self.branches())
            return f"a mapping whose `name` is {self.names()}" + (", or null" if nullable else "")
        return _or(list(dict.fromkeys(word for branch in self.branches() for word in branch.words())))

    def words(self) -> list[str]:
        """Returns what is allowed, one entry an alternative."""
        if "const" in self.schema:
            return [_plain(self.schema["const"])]
        if "enum" in self.schema:
            return [_plain(value) for value in self.schema["enum"]]
        if self.schema.get("type") == "boolean":
            return ["true", "false"]
        word = WORDS.get(self.schema.get("type", ""), "a value")
        if keys := self.schema.get("properties"):
            word += f" ({', '.join(keys)})"
        if self.schema.get("type") == "array" and "minItems" in self.schema:
            word = f"a list of {self.schema['minItems']}"
        if "form" in self.schema:
            word = self.schema["form"]
        bounds = [
            f"{text} {_number(self.schema[key])}"
            for key, text in (
                ("minimum", "of at least"),
                ("exclusiveMinimum", "above"),
                ("maximum", "at most"),
                ("exclusiveMaximum", "below"),
            )
            if key in self.schema
        ]
        return [" ".join([word, " and ".join(bounds)]) if bounds else word]


class Spot(NamedTuple):
    """A location in a tree of values, the value there, its place in the schema and the place around that."""

    loc: Loc
    value: Any
    node: Node | None
    parent: Node | None


@lru_cache(maxsize=4)
def schema_of(model: type[BaseModel]) -> Node:
    """Returns the top of a model's JSON schema."""
    schema = model.model_json_schema()
    return Node({}, schema.get("$defs", {})).at(schema)


def follow(root: Node, parts: Sequence[str | int], tree: Any, missing: bool) -> Spot:
    """Returns the spot that an error's location means.

    Pydantic's locations also name the members of unions that it tried; those are no part of the file.
    `missing`: the last part is a key that should be there.
    """
    loc: list[str | int] = []
    node: Node | None = root
    parent: Node | None = None
    for index, part in enumerate(parts):
        members = node.members() if node else {}
        if node and part in members:
            node = node.at({"$ref": members[str(part)]})
        elif (
            _holds(tree, part)
            or (isinstance(tree, Mapping) and node and part in node.fields())
            or (missing and index == len(parts) - 1)
        ):
            loc.append(part)
            parent, node = node, node.child(part) if node else None
            tree = tree[part] if _holds(tree, part) else None
        elif node:
            node = node.branch_of(part)
    return Spot(tuple(loc), tree, node, parent)


def _holds(tree: Any, part: str | int) -> bool:
    if isinstance(tree, Mapping):
        return part in tree
    return isinstance(part, int) and isinstance(tree, list | tuple) and part < len(tree)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _or(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else "".join(words)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
