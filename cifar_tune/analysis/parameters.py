"""Which parameters a sweep varied, and which of them a heat map should show first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cifar_tune.analysis.naming import parameter
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import CONFIGURATION_PREFIX

SEEDS = (f"{CONFIGURATION_PREFIX}seed",)
"""Differ between trials without being a choice."""


def varied_parameters(trials: pd.DataFrame, sweep: SweepFile | None = None) -> list[str]:
    """Columns of the parameters that differ between trials: grid axes first, then searched ones, then others.

    Fields of a component that only follow from its name (the width that every MiniNet of the sweep has) are left out.
    """
    differing = [
        column
        for column in trials.columns
        if column.startswith(CONFIGURATION_PREFIX) and column not in SEEDS and _differs(trials, column)
    ]
    if sweep is None:
        return differing
    paths = [*sweep.grid, *sweep.search]
    return sorted(differing, key=lambda column: _rank(column.removeprefix(CONFIGURATION_PREFIX), paths))


def chosen_parameters(trials: pd.DataFrame, names: Sequence[str] | None, sweep: SweepFile | None = None) -> list[str]:
    """Columns of the parameters named, with or without `trial.`; without names, of those that differ between trials.

    Raises:
        AnalysisError: no such parameter.
    """
    return varied_parameters(trials, sweep) if names is None else [parameter(trials, name) for name in names]


def default_axes(trials: pd.DataFrame, sweep: SweepFile | None = None) -> tuple[str | None, str | None]:
    """x and y of the first heat map: of one grid axis and a searched parameter, the grid axis is y.

    None for what there is not: y where one parameter differs, both where none does.
    """
    first, second, *_ = [*varied_parameters(trials, sweep), None, None]
    return (first, None) if second is None else (second, first)


def _differs(trials: pd.DataFrame, column: str) -> bool:
    """True if the column has several values among trials that share the components it is a field of."""
    parts = column.split(".")
    names = [".".join([*parts[:depth], "name"]) for depth in range(2, len(parts))]
    components = [name for name in names if name in trials.columns and name != column]
    if not components:
        return bool(trials[column].nunique(dropna=False) > 1)
    within = trials.groupby(components, observed=True, dropna=False)[column]
    return bool((within.nunique(dropna=False) > 1).any())


def _rank(path: str, paths: list[str]) -> int:
    """The place among `paths` of the path, of what holds it or of what it holds; after all of them if it has none."""
    places = [
        place
        for place, varied in enumerate(paths)
        if f"{path}.".startswith(f"{varied}.") or varied.startswith(f"{path}.")
    ]
    return places[0] if places else len(paths)
