"""The rows of epochs.parquet in memory: one typed array a column, about 120 bytes a row."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cifar_tune.errors import ResultsError
from cifar_tune.layout import EPOCHS_NAME
from cifar_tune.results.arrow import ARROW_TYPES
from cifar_tune.results.columns import EPOCH_COLUMNS, INT64_LIMIT, Column
from cifar_tune.results.values import coerce

MISSING_INT = -INT64_LIMIT
"""No column takes it: `coerce` refuses it."""

GROUP_ROWS = 65_536
"""Rows converted and written at a time: what writing costs in memory, 10 MB, does not grow with the sweep."""

_COLUMNS = {column.name: column for column in EPOCH_COLUMNS if not column.required}
_TYPECODES = {"float": "d", "int": "q", "string": "b"}
_MISSING = {"float": float("nan"), "int": MISSING_INT, "string": -1}
"""Strings are held as their place in the column's `values`."""


class EpochRows:
    """Epochs of all trials, by trial in the order of the trials, then by epoch."""

    def __init__(self) -> None:
        self._values: dict[str, array[Any]] = {
            name: array(_TYPECODES[column.kind]) for name, column in _COLUMNS.items()
        }
        self._epoch = self._values["epoch"] = array("q")
        self._rows: dict[str, array[int]] = {}

    def add_trial(self, trial_id: str) -> None:
        """Makes the trial known; its epochs stand after those of the trials before it."""
        self._rows.setdefault(trial_id, array("q"))

    def has(self, trial_id: str, epoch: int) -> bool:
        """True if that epoch of that trial is there."""
        rows = self._rows[trial_id]
        place = self._place(rows, epoch)
        return place < len(rows) and self._epoch[rows[place]] == epoch

    def check(self, values: Mapping[str, object]) -> dict[str, Any]:
        """The values as their columns hold them.

        Raises:
            ResultsError: no such column, or a value of another kind.
        """
        for name in values:
            if name not in _COLUMNS:
                raise ResultsError(f"{EPOCHS_NAME}: `{name}` is not a column; see results/README.md")
        return {name: coerce(EPOCHS_NAME, _COLUMNS[name], value) for name, value in values.items()}

    def add(self, trial_id: str, epoch: int, values: Mapping[str, Any]) -> None:
        """Adds checked values of an epoch that is not there yet."""
        rows = self._rows[trial_id]
        rows.insert(self._place(rows, epoch), len(self._epoch))
        self._epoch.append(epoch)
        for name, column in _COLUMNS.items():
            value = values.get(name)
            if value is None:
                value = _MISSING[column.kind]
            elif column.kind == "string":
                value = column.values.index(value)
            self._values[name].append(value)

    def of_trial(self, trial_id: str) -> list[dict[str, Any]]:
        """The trial's epochs in order, None where a value is missing."""
        return [
            {"trial_id": trial_id, "epoch": self._epoch[row]}
            | {name: _loaded(column, self._values[name][row]) for name, column in _COLUMNS.items()}
            for row in self._rows[trial_id]
        ]

    def lengths(self) -> NDArray[np.int64]:
        """Epochs of each trial, in the order of the trials."""
        return np.fromiter((len(rows) for rows in self._rows.values()), np.int64, len(self._rows))

    def numbers(self, names: Iterable[str], trial_id: str | None = None) -> dict[str, NDArray[Any]]:
        """Columns as stored, of all trials or one, in the table's order."""
        order = self._order(self._rows if trial_id is None else [trial_id])
        return {name: self._ordered(name, order) for name in names}

    def to_arrow(self) -> Iterator[list[tuple[Column, pa.Array]]]:
        """Yields the columns of the table in their order, `GROUP_ROWS` rows at a time, at least once."""
        order = self._order(self._rows)
        places = np.repeat(np.arange(len(self._rows), dtype=np.int32), self.lengths())
        trial_ids = pa.array(list(self._rows), pa.string())
        for start in range(0, max(len(order), 1), GROUP_ROWS):
            rows = slice(start, start + GROUP_ROWS)
            arrays = {"trial_id": pa.DictionaryArray.from_arrays(places[rows], trial_ids).cast(pa.string())}
            for column in EPOCH_COLUMNS[1:]:
                arrays[column.name] = _to_arrow(column, self._ordered(column.name, order[rows]))
            yield [(column, arrays[column.name]) for column in EPOCH_COLUMNS]

    def _order(self, trial_ids: Iterable[str]) -> NDArray[np.int64]:
        return np.frombuffer(b"".join(self._rows[trial_id].tobytes() for trial_id in trial_ids), np.int64)

    def _ordered(self, name: str, order: NDArray[np.int64]) -> NDArray[Any]:
        values = self._values[name]
        return np.frombuffer(values, values.typecode)[order] if values else np.array(values)

    def _place(self, rows: array[int], epoch: int) -> int:
        if not rows or self._epoch[rows[-1]] < epoch:
            return len(rows)
        return bisect_left(rows, epoch, key=self._epoch.__getitem__)


def _loaded(column: Column, stored: Any) -> Any:
    if column.kind == "float":
        return None if stored != stored else stored
    if column.kind == "int":
        return None if stored == MISSING_INT else stored
    return None if stored < 0 else column.values[stored]


def _to_arrow(column: Column, stored: NDArray[Any]) -> pa.Array:
    if column.kind == "float":
        return pa.array(stored, mask=np.isnan(stored))
    if column.kind == "int":
        return pa.array(stored, mask=stored == MISSING_INT)
    codes = pa.array(stored, mask=stored < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(column.values)).cast(ARROW_TYPES[column.kind])
