"""What pydantic found wrong, in the words of the field: what is wrong; what is allowed.

What is allowed is read off the JSON schema, which is built only when there is something to report.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from cifar_tune.config.allowed import Node, follow, schema_of
from cifar_tune.config.foreign_domains import as_domain
from cifar_tune.config.paths import Loc
from cifar_tune.schema import FieldError

FINDINGS = "findings"

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""A number as YAML writes it."""


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a tree of values. `at_key`: the key is what is wrong, not its value."""

    loc: Loc
    message: str
    at_key: bool = False


def found(findings: Sequence[Finding]) -> PydanticCustomError:
    """Returns the error by which a validator reports several findings with locations of their own."""
    text = "\n".join(f"{'.'.join(map(str, finding.loc))}: {finding.message}" for finding in findings)
    return PydanticCustomError(FINDINGS, "{text}", {"text": text, "findings": tuple(findings)})


def explain(error: ValidationError, schema: type[BaseModel], tree: Any) -> list[Finding]:
    """Returns what `error`, raised when `tree` was validated by `schema`, means; each thing once."""
    root = schema_of(schema)
    details = error.errors(include_url=False)
    return list(dict.fromkeys(finding for detail in details for finding in _explain_one(detail, root, tree)))


def _explain_one(detail: ErrorDetails, root: Node, tree: Any) -> Iterator[Finding]:
    loc, value, node, parent = follow(root, detail["loc"], tree, missing=detail["type"] == "missing")
    context = detail.get("ctx", {})
    match detail["type"]:
        case "findings":
            yield from (Finding((*loc, *one.loc), one.message, one.at_key) for one in context["findings"])
        case "missing":
            yield Finding(loc, f"missing; must be {node.allowed()}" if node else "missing", at_key=True)
        case "extra_forbidden":
            yield Finding(loc, unknown("key", str(loc[-1]), parent.fields() if parent else ()), at_key=True)
        case "union_tag_invalid":
            key = str(context["discriminator"]).strip("'")
            what = loc[-1] if loc and isinstance(loc[-1], str) else key
            yield Finding((*loc, key), unknown(what, str(context["tag"]), [*node.members()] if node else []))
        case "union_tag_not_found":
            yield _without_name(loc, value, node, str(context["discriminator"]).strip("'"))
        case "domain":
            yield Finding(loc, _not_a_domain(detail["msg"], value))
        case "value_error":
            error = context["error"]
            yield Finding((*loc, *error.loc) if isinstance(error, FieldError) else loc, str(error))
        case _ if node is not None and node.members():
            yield Finding(loc, _not_a_component(value, node))
        case _ if node is not None:
            yield Finding(loc, f"must be {node.allowed()}, got {show(value)}{_meant(value, node)}")
        case _:
            yield Finding(loc, f"{detail['msg'].removeprefix('Input ').lower()}, got {show(value)}")


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Returns the message for a name that is none of `known`."""
    near = difflib.get_close_matches(name.lower(), known, n=1) or abbreviated(name.lower(), known)
    hint = f"; did you mean `{near[0]}`?" if near else ";"
    return f"unknown {what} `{name}`{hint} allowed: {', '.join(sorted(known)) or 'none'}"


def abbreviated(name: str, known: Sequence[str]) -> list[str]:
    """Returns what a name abbreviates or is abbreviated as: `wd` is `weight_decay`, and `learning_rate` is `lr`."""
    return [one for one in known if len(name) > 1 and (_initials(one) == name or one == _initials(name))]


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def _meant(value: Any, node: Node) -> str:
    """Returns a suggestion for text where a number belongs: with a decimal comma, a percent sign, or in quotes."""
    meant = as_domain(value) if isinstance(value, Mapping | str) else None
    if meant:
        return f"; a searched value is written {meant}, under `search`"
    types = {branch.schema.get("type") for branch in node.branches()}
    if not isinstance(value, str) or not types & {"number", "integer"}:
        return ""
    text = value.strip().replace(",", ".")
    number = text.removesuffix("%").strip()
    if not NUMBER.fullmatch(number):
        return ""
    if number != text:
        return f"; did you mean {float(number) / 100:g}?"
    return f"; did you mean {number}{', without quotes' if number == value.strip() else ''}?"


def _without_name(loc: Loc, value: Any, node: Node | None, key: str) -> Finding:
    near = difflib.get_close_matches(key, [*value] if isinstance(value, Mapping) else [], n=1)
    if near:
        return Finding((*loc, near[0]), f"unknown key `{near[0]}`; did you mean `{key}`?", at_key=True)
    return Finding((*loc, key), f"missing; must be {node.names()}" if node else "missing", at_key=True)


def _not_a_component(value: Any, node: Node) -> str:
    hint = f"; write {{name: {value}}}" if isinstance(value, str) and value in node.members() else ""
    return f"must be {node.allowed()}, got {show(value)}{hint}"


def _not_a_domain(allowed: str, value: Any) -> str:
    if meant := as_domain(value):
        return f"a searched parameter {allowed}, got {show(value)}; write {meant}"
    if isinstance(value, Mapping):
        for key in value:
            if near := difflib.get_close_matches(str(key), ("float", "int", "choice"), n=1):
                return f"unknown key `{key}`; did you mean `{near[0]}`? A searched parameter {allowed}"
    return f"a searched parameter {allowed}, got {show(value)}"


def show(value: Any) -> str:
    """Returns how a message names a value that it was given."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text '{value if len(value) <= 60 else value[:57] + '...'}'"
        case list() | tuple():
            return "an empty list" if not value else f"a list of {len(value)}"
        case Mapping():
            return "a mapping"
        case _:
            return str(value)
