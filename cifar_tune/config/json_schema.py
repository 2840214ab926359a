"""The JSON schema of a sweep file, by which editors complete and check it while it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cifar_tune.config.allowed import Node, schema_of
from cifar_tune.config.domains import DOMAIN_KEYS
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.training.trial import TrialConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def sweep_schema() -> dict[str, Any]:
    """Returns the schema; `grid` and `search` offer every dotted path of the trial, and allow paths into lists too."""
    schema: dict[str, Any] = {"$schema": DIALECT, "title": "A sweep of cifar_tune", **SweepConfig.model_json_schema()}
    definitions = schema["$defs"]
    _let_loss_go_unnamed(definitions)
    _require_names(definitions)
    _tell_domains_from_mappings(definitions)
    paths = dict(sorted(paths_below(schema_of(TrialConfig), "")))
    for block in ("grid", "search"):
        entry = schema["properties"][block]
        entry["properties"] = {path: {**entry["additionalProperties"], **text} for path, text in paths.items()}
    return schema


def _let_loss_go_unnamed(definitions: dict[str, Any]) -> None:
    """`loss: {label_smoothing: 0.1}` means cross-entropy."""
    member = definitions["CrossEntropy"]
    unnamed = {**member, "properties": {key: text for key, text in member["properties"].items() if key != "name"}}
    loss = definitions["TrialConfig"]["properties"]["loss"]
    loss["anyOf"] = [{"oneOf": loss.pop("oneOf"), "discriminator": loss.pop("discriminator")}, unnamed]


def _require_names(definitions: dict[str, Any]) -> None:
    """A component's name has a default in Python, but is what tells components apart in a file."""
    for member in definitions.values():
        if "const" in member.get("properties", {}).get("name", {}):
            member["required"] = ["name", *member.get("required", [])]


def _tell_domains_from_mappings(definitions: dict[str, Any]) -> None:
    """A mapping with the key of a domain is one; only then must exactly one alternative fit."""
    for branch in definitions["Template"]["oneOf"]:
        if branch.get("type") == "object":
            branch["propertyNames"] = {"not": {"enum": [*DOMAIN_KEYS]}}


def paths_below(node: Node, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields (dotted path, its description) for every field below a place."""
    for key in node.fields():
        child = node.child(key)
        if child is None:
            continue
        text = child.schema.get("description", "")
        yield f"{prefix}{key}", {"description": text} if text else {}
        yield from paths_below(child, f"{prefix}{key}.")
