"""The rows of trials.parquet in memory: one list a column."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from cifar_tune.errors import ResultsError
from cifar_tune.layout import TRIALS_NAME
from cifar_tune.results.arrow import ARROW_TYPES
from cifar_tune.results.columns import (
    CONFIGURATION_PREFIX,
    IDENTITY_COLUMNS,
    OUTCOME_COLUMNS,
    TRIAL_COLUMNS,
    Column,
    Kind,
)
from cifar_tune.results.values import as_text, coerce, common_kind, kind_of

_COLUMNS = {column.name: column for column in TRIAL_COLUMNS if not column.derived}
_SET_BY_THE_STORE = {column.name for column in TRIAL_COLUMNS if column.derived or column.required}


class TrialRows:
    """Trials in the order in which they became known; 2 to 3 kB each (benchmarks/results_tables.py)."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        """Row of each trial."""
        self._values: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self._configuration: dict[str, list[Any]] = {}
        self._kinds: dict[str, set[Kind]] = {}

    def check(self, values: Mapping[str, object]) -> dict[str, Any]:
        """The values as their columns hold them.

        Raises:
            ResultsError: no such column, one that the store sets itself, or a value of another kind.
        """
        checked = {}
        for name, value in values.items():
            if name in _SET_BY_THE_STORE:
                raise ResultsError(f"{TRIALS_NAME}: `{name}` is set by the store itself")
            if name not in _COLUMNS:
                raise ResultsError(f"{TRIALS_NAME}: `{name}` is not a column; see results/README.md")
            checked[name] = coerce(TRIALS_NAME, _COLUMNS[name], value)
        return checked

    def merge(self, trial_id: str, values: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
        """Sets checked values of a trial, which gets a row if it has none."""
        row = self.places.get(trial_id)
        if row is None:
            row = self.places[trial_id] = len(self.places)
            for column in (*self._values.values(), *self._configuration.values()):
                column.append(None)
            self._values["trial_id"][row] = trial_id
        for name, value in values.items():
            self._values[name][row] = sys.intern(value) if type(value) is str else value
        for path, value in configuration.items():
            self._set_configuration(path, row, value)

    def _set_configuration(self, path: str, row: int, value: Any) -> None:
        column = self._configuration.get(path)
        if column is None:
            column = self._configuration[path] = [None] * len(self.places)
            self._kinds[path] = set()
        if value is None:
            column[row] = None
            return
        self._kinds[path].add(kind_of(value))
        before = column[row - 1]
        column[row] = before if type(before) is type(value) and before == value else value

    def row(self, trial_id: str) -> dict[str, Any]:
        """Every stored value of a trial, None where there is none.

        Raises:
            ResultsError: no such trial.
        """
        if trial_id not in self.places:
            raise ResultsError(f"the sweep has no trial `{trial_id}`")
        row = self.places[trial_id]
        stored = {name: column[row] for name, column in self._values.items()}
        configuration = {CONFIGURATION_PREFIX + path: column[row] for path, column in self._configuration.items()}
        return stored | configuration

    def where(self, name: str, value: object) -> list[str]:
        """The trials whose column `name` holds `value`."""
        column = self._values[name]
        return [trial_id for trial_id, row in self.places.items() if column[row] == value]

    def to_arrow(self, derived: Mapping[str, pa.Array]) -> list[tuple[Column, pa.Array]]:
        """Columns of the table in their order, `derived` put in their places, each component's fields together."""
        identity = [self._stored(column) for column in IDENTITY_COLUMNS]
        first: dict[str, int] = {}
        for path in self._configuration:
            first.setdefault(path.split(".")[0], len(first))
        paths = sorted(self._configuration, key=lambda path: first[path.split(".")[0]])
        configuration = [self._configured(path) for path in paths]
        outcome = [
            (column, derived[column.name]) if column.derived else self._stored(column) for column in OUTCOME_COLUMNS
        ]
        return identity + configuration + outcome

    def _stored(self, column: Column) -> tuple[Column, pa.Array]:
        return column, pa.array(self._values[column.name], ARROW_TYPES[column.kind])

    def _configured(self, path: str) -> tuple[Column, pa.Array]:
        kinds = self._kinds[path]
        kind = common_kind(kinds) if kinds else "string"
        values = self._configuration[path]
        if kind == "string" and kinds != {"string"}:
            values = [as_text(value) for value in values]
        column = Column(CONFIGURATION_PREFIX + path, kind, "", f"configuration value `{path}`")
        return column, pa.array(values, ARROW_TYPES[kind])
