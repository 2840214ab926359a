"""Findings of a report that have no live view: words, tables, and figures, drawn when they are asked for."""

from __future__ import annotations

from typing import Any

from cifar_tune.analysis.reports.sections import further_sections
from cifar_tune.dashboard.live import Snapshot
from cifar_tune.dashboard.values import of_table
from cifar_tune.dashboard.views import objective
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.files import image_of
from cifar_tune.plotting.section import Section
from cifar_tune.plotting.theme import Theme


def findings(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Title, text, table and the name of the figure, if it has one, of each finding."""
    return [
        {
            "title": one.title,
            "text": one.text,
            "table": None if one.table is None else of_table(one.table),
            "figure": one.name,
            "alternative": one.alternative,
        }
        for one in _sections(snapshot)
    ]


def picture(snapshot: Snapshot, name: str, theme: Theme) -> bytes:
    """The figure of a finding, as PNG.

    Raises:
        AnalysisError: there is none of that name.
    """
    drawn = {one.name: one.draw for one in _sections(snapshot) if one.draw}
    if name not in drawn:
        raise AnalysisError(f"there is no figure `{name}`; there are {', '.join(drawn) or 'none'}")
    return image_of(drawn[name](theme))


def _sections(snapshot: Snapshot) -> tuple[Section, ...]:
    return further_sections(snapshot.trials, snapshot.epochs, objective(snapshot), snapshot.sweep)
