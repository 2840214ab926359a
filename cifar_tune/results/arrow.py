"""Arrow tables of our columns, and parquet files that are replaced whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cifar_tune.errors import ResultsError
from cifar_tune.results.columns import SCHEMA_VERSION, Column, Kind
from cifar_tune.results.ledger import sync_folder

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


def write_whole(table: pa.Table, path: Path) -> None:
    """Replaces a parquet file; a reader, or the disk after a power failure, has the old one or the new one whole.

    Raises:
        ResultsError: the disk is full or refuses; the old file stays.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResultsError(f"{path}: could not be written: {error}") from error
