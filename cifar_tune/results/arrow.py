"""Arrow tables of our columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from cifar_tune.results.columns import SCHEMA_VERSION, Column, Kind

ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
}

VERSION_KEY = b"cifar_tune.schema_version"
SWEEP_KEY = b"cifar_tune.sweep"


def field(column: Column) -> pa.Field:
    """The Arrow field of a column; unit and meaning stand in its metadata."""
    metadata = {"unit": column.unit, "meaning": column.meaning}
    if column.values:
        metadata["values"] = ", ".join(column.values)
    return pa.field(column.name, ARROW_TYPES[column.kind], nullable=not column.required, metadata=metadata)


def table(sweep_name: str, columns: Iterable[tuple[Column, pa.Array]]) -> pa.Table:
    """One Arrow table; the schema version and the sweep's name stand in its metadata."""
    columns = list(columns)
    metadata = {VERSION_KEY: str(SCHEMA_VERSION), SWEEP_KEY: sweep_name}
    schema = pa.schema([field(column) for column, _ in columns], metadata=metadata)
    return pa.Table.from_arrays([values for _, values in columns], schema=schema)
