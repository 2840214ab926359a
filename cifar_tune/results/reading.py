"""`load`: results folders as pandas frames, whatever state they are in."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cifar_tune.errors import ResultsError
from cifar_tune.results.arrow import ARROW_TYPES, SWEEP_KEY, VERSION_KEY
from cifar_tune.results.columns import EPOCH_COLUMNS, EPOCHS_NAME, SCHEMA_VERSION, TRIAL_COLUMNS, TRIALS_NAME
from cifar_tune.results.ledger import LEDGER_NAME, events
from cifar_tune.results.lock import DriverLock
from cifar_tune.results.rows import Rows, replay
from cifar_tune.results.table_file import TableFile

if TYPE_CHECKING:
    import pandas as pd

COLUMNS_OF = {TRIALS_NAME: TRIAL_COLUMNS, EPOCHS_NAME: EPOCH_COLUMNS}
FREE_TEXT = {"status_reason", "error", "checkpoint"}
"""String columns that are no categories."""


class DamagedTableWarning(UserWarning):
    """A table could not be read and was made again from what else the folder holds."""


class Frames(NamedTuple):
    """Both tables of one sweep or several. `sweep` and `trial_id` together name a trial in each."""

    trials: pd.DataFrame
    epochs: pd.DataFrame


def load(folders: str | Path | Iterable[str | Path]) -> Frames:
    """The tables of a results folder, or of several as one.

    Repeated strings are categories, times are UTC, whole numbers stay whole where values are missing (Int64). A table
    that is damaged or missing is made again from the ledger, or what can be is saved from the other table; a
    `DamagedTableWarning` says so. Tables of older schema versions have the newer columns, empty.

    Raises:
        ResultsError: a folder is no results folder, is beyond saving, or was written by a newer version.
    """
    paths = [Path(folders)] if isinstance(folders, str | Path) else [Path(folder) for folder in folders]
    if not paths:
        raise ResultsError("no results folder was named")
    tables = [_read_folder(path) for path in paths]
    given = [_sweep_name(path, trials) for path, (trials, _) in zip(paths, tables, strict=True)]
    names = [name if given.count(name) == 1 else str(path) for path, name in zip(paths, given, strict=True)]
    trials = _concatenate([_of_sweep(name, trials) for name, (trials, _) in zip(names, tables, strict=True)])
    epochs = _concatenate([_of_sweep(name, epochs) for name, (_, epochs) in zip(names, tables, strict=True)])
    return Frames(_to_pandas(trials, text=FREE_TEXT | {"trial_id"}), _to_pandas(epochs, text=FREE_TEXT))


def _read_folder(folder: Path) -> tuple[pa.Table, pa.Table]:
    if not any((folder / name).is_file() for name in (LEDGER_NAME, TRIALS_NAME, EPOCHS_NAME)):
        raise ResultsError(_no_sweep(folder))
    tables: dict[str, pa.Table] = {}
    damaged: dict[str, str] = {}
    for name in (TRIALS_NAME, EPOCHS_NAME):
        try:
            with pq.ParquetFile(folder / name) as file:
                table = file.read()
        except FileNotFoundError:
            damaged[name] = "is missing"
        except PermissionError as error:
            raise ResultsError(f"{folder / name}: may not be read by this user") from error
        except (pa.ArrowException, OSError):
            damaged[name] = "is damaged or cut short"
        else:
            tables[name] = _of_our_version(folder / name, table)
    if damaged:
        tables |= _make_again(folder, damaged, tables)
    return tables[TRIALS_NAME], tables[EPOCHS_NAME]


def _no_sweep(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}: there is no such folder"
    inside = sorted(path.parent.name for path in folder.glob(f"*/{TRIALS_NAME}"))
    hint = f"; it holds the sweeps {', '.join(inside)}: name one of them" if inside else ""
    return f"{folder}: is no results folder: it holds neither {TRIALS_NAME} nor {LEDGER_NAME}{hint}"


def _of_our_version(path: Path, table: pa.Table) -> pa.Table:
    """The table with every column of our version."""
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version is None:
        raise ResultsError(f"{path}: was not written by cifar_tune (its metadata name no schema version)")
    if int(version) > SCHEMA_VERSION:
        raise ResultsError(
            f"{path}: is of schema version {int(version)}, "
            f"made by a newer cifar_tune; this one reads up to {SCHEMA_VERSION}"
        )
    for column in COLUMNS_OF[path.name]:
        if column.name not in table.column_names:
            table = table.append_column(column.name, pa.nulls(table.num_rows, ARROW_TYPES[column.kind]))
    return table


def _make_again(folder: Path, damaged: dict[str, str], whole: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The damaged tables, from the ledger if there is one, else what the whole table tells of the other."""
    said = " and ".join(f"{name} {how}" for name, how in damaged.items())
    if (folder / LEDGER_NAME).is_file():
        rows = replay(events(folder / LEDGER_NAME))
        made = {TRIALS_NAME: rows.trial_table(), EPOCHS_NAME: rows.epoch_table()}
        kept = _put_back(folder, rows, damaged)
        how = f"rebuilt from {LEDGER_NAME}" + ("" if kept else ", in memory only (the folder is in use or read-only)")
        warnings.warn(f"{folder}: {said}; {how}", DamagedTableWarning, stacklevel=4)
        return made
    if not whole:
        raise ResultsError(f"{folder}: {said}, and there is no {LEDGER_NAME} to rebuild from: nothing can be saved")
    saved = _from_epochs(folder, whole[EPOCHS_NAME]) if TRIALS_NAME in damaged else Rows(folder.name)
    what = "trials saved without configuration and status" if TRIALS_NAME in damaged else "going on without epochs"
    warnings.warn(f"{folder}: {said}, and there is no {LEDGER_NAME}; {what}", DamagedTableWarning, stacklevel=4)
    return {TRIALS_NAME: saved.trial_table(), EPOCHS_NAME: saved.epoch_table()} | whole


def _put_back(folder: Path, rows: Rows, names: Iterable[str]) -> bool:
    """Writes tables where the damaged ones are, unless a driver is at work or the folder is read-only."""
    lock = DriverLock(folder)
    try:
        lock.acquire()
        try:
            for name in names:
                TableFile(folder / name).replace(rows.groups(name))
        finally:
            lock.release()
    except OSError:
        return False
    return True


def _from_epochs(folder: Path, epochs: pa.Table) -> Rows:
    """Trials of which only the epochs are left."""
    rows = Rows(_sweep_name(folder, epochs))
    settable = [column.name for column in EPOCH_COLUMNS if not column.required]
    for values in epochs.to_pylist():
        rows.merge_trial(values["trial_id"], {}, {})
        rows.epochs.add(values["trial_id"], values["epoch"], {name: values[name] for name in settable})
    return rows


def _sweep_name(folder: Path, table: pa.Table) -> str:
    name: bytes = (table.schema.metadata or {}).get(SWEEP_KEY, folder.name.encode())
    return name.decode()


def _of_sweep(name: str, table: pa.Table) -> pa.Table:
    """The table with its sweep's name as first column."""
    without = table.drop_columns(["sweep"]) if "sweep" in table.column_names else table
    return without.add_column(0, "sweep", pa.array([name], pa.string()).take(pa.array([0] * table.num_rows, pa.int8())))


def _concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """One table below the other; a column of int and float becomes float, of other mixtures string."""
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    types = {
        name: _common_type([table.schema.field(name).type for table in tables if name in table.column_names])
        for name in names
    }
    return pa.concat_tables(
        pa.table(
            {
                name: table[name].cast(kind) if name in table.column_names else pa.nulls(table.num_rows, kind)
                for name, kind in types.items()
            }
        )
        for table in tables
    )


def _common_type(types: Sequence[pa.DataType]) -> pa.DataType:
    if len(set(types)) == 1:
        return types[0]
    return pa.float64() if set(types) == {pa.int64(), pa.float64()} else pa.string()


def _to_pandas(table: pa.Table, *, text: set[str]) -> pd.DataFrame:
    import pandas as pd

    categories = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    frame: pd.DataFrame = table.to_pandas(categories=[name for name in categories if name not in text])
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    for name in table.column_names:
        if table.schema.field(name).type in nullable and table[name].null_count:
            frame[name] = table[name].to_pandas(types_mapper=nullable.get)
    return frame
