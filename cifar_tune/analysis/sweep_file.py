"""What `sweep.yaml` of a results folder says about the analysis: the question, what was varied, what was sought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

SWEEP_NAME = "sweep.yaml"


@dataclass(frozen=True)
class SweepFile:
    """grid, search: the paths varied, in the file's order. header: the comment at its top, a line each.

    constrained: whether proposals may be refused for what they cost.
    """

    header: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    metric: str = "validation_accuracy"
    constrained: bool = False


def read_sweep_file(folder: Path) -> SweepFile:
    """What the folder's sweep file says; an empty `SweepFile` where there is none, or none that is YAML."""
    try:
        text = (folder / SWEEP_NAME).read_text(encoding="utf-8")
        content = YAML(typ="safe", pure=True).load(text)
    except (OSError, UnicodeError, YAMLError):
        return SweepFile()
    if not isinstance(content, Mapping):
        return SweepFile()
    grid, search = (tuple(content.get(part) or {}) for part in ("grid", "search"))
    return SweepFile(_header(text), grid, search, _metric(content.get("objective")), bool(content.get("constraints")))


def _header(text: str) -> tuple[str, ...]:
    """The comment lines before the first key, without an editor's directive."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return tuple(line for line in lines if not line.startswith("yaml-language-server"))


def _metric(objective: Any) -> str:
    first = objective[0] if isinstance(objective, Sequence) and objective else objective
    return str(first.get("metric", SweepFile.metric)) if isinstance(first, Mapping) else SweepFile.metric
