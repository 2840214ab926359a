"""What `sweep.yaml` of a results folder says about the analysis: the question, what was varied, what was sought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cifar_tune.layout import SWEEP_NAME


@dataclass(frozen=True)
class SweepFile:
    """grid, search: the paths varied, in the file's order. header: the comment at its top, a line each.

    metric: the objective; of several, the first that is learnt. objectives: empty where there is one. constrained:
    whether proposals may be refused for what they cost.
    """

    header: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    metric: str = "validation_accuracy"
    constrained: bool = False
    objectives: tuple[str, ...] = ()


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
    metrics = _metrics(content.get("objective"))
    learnt = next((name for name in metrics if name.startswith("validation_")), metrics[0])
    objectives = metrics if len(metrics) > 1 else ()
    return SweepFile(_header(text), grid, search, learnt, bool(content.get("constraints")), objectives)


def _header(text: str) -> tuple[str, ...]:
    """The comment lines before the first key, without an editor's directive."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return tuple(line for line in lines if not line.startswith("yaml-language-server"))


def _metrics(objective: Any) -> tuple[str, ...]:
    listed = objective if isinstance(objective, Sequence) and not isinstance(objective, str) else [objective]
    named = tuple(str(one.get("metric", SweepFile.metric)) for one in listed if isinstance(one, Mapping))
    return named or (SweepFile.metric,)
