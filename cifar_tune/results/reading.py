"""`load`: results folders as pandas frames, whatever state they are in."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cifar_tune.errors import ResultsError
from cifar_tune.layout import CONFIRM_FOLDER, CONFIRMATIONS_NAME, EPOCHS_NAME, LEDGER_NAME, TRIALS_NAME
from cifar_tune.results.arrow import ARROW_TYPES, SWEEP_KEY, VERSION_KEY
from cifar_tune.results.columns import CONFIRMATION_COLUMNS, EPOCH_COLUMNS, SCHEMA_VERSION, TRIAL_COLUMNS
from cifar_tune.results.confirmations import confirmation_table, confirmations_of, ledger_of
from cifar_tune.results.ledger import events
from cifar_tune.results.lock import DriverLock
from cifar_tune.results.rows import Rows, replay
from cifar_tune.results.table_file import TableFile
from cifar_tune.storage.address import place
from cifar_tune.storage.folders import as_named, fetched, named

if TYPE_CHECKING:
    import pandas as pd

COLUMNS_OF = {TRIALS_NAME: TRIAL_COLUMNS, EPOCHS_NAME: EPOCH_COLUMNS, CONFIRMATIONS_NAME: CONFIRMATION_COLUMNS}
FREE_TEXT = {"status_reason", "error", "checkpoint", "reason"}
"""String columns that are no categories."""


class DamagedTableWarning(UserWarning):
    """A table could not be read and was made again from what else the folder holds."""


class Frames(NamedTuple):
    """The tables of one sweep or several. `sweep` and `trial_id` together name a trial of the search in each.

    confirmations: has no rows where nothing has been confirmed.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    confirmations: pd.DataFrame


def load(folders: str | Path | Iterable[str | Path]) -> Frames:
    """The tables of a results folder, or of several as one; `s3://...` and `gs://...` are fetched.

    Repeated strings are categories, times are UTC, whole numbers stay whole where values are missing (Int64). A table
    that is damaged or missing is made again from the ledger, or what can be is saved from the other table; a
    `DamagedTableWarning` says so. Tables of older schema versions have the newer columns, empty.

    Raises:
        ResultsError: a folder is not a results folder, is beyond saving, or was written by a newer version.
        StorageError: an address cannot be read.
    """
    named_places = [folders] if isinstance(folders, str | Path) else folders
    with ExitStack() as stack:
        paths = [stack.enter_context(fetched(place(str(one)))) for one in named_places]
        if not paths:
            raise ResultsError("no results folder was named")
        tables = [_read_folder(path) for path in paths]
        given = [_sweep_name(path, trials) for path, (trials, *_) in zip(paths, tables, strict=True)]
        names = [name if given.count(name) == 1 else named(path) for path, name in zip(paths, given, strict=True)]
    of_sweeps = [[_of_sweep(name, table) for table in of_one] for name, of_one in zip(names, tables, strict=True)]
    return _frames(*map(_concatenate, zip(*of_sweeps, strict=True)))


def frames_of(folder: Path, rows: Rows) -> Frames:
    """The rows of a folder's ledger, and the folder's confirmations, as `load` gives them.

    Raises:
        ResultsError: the confirmations were written by a newer version.
    """
    tables = rows.trial_table(), rows.epoch_table(), _read_confirmations(folder)
    return _frames(*(_of_sweep(rows.sweep_name, table) for table in tables))


def check_sweep(folder: Path) -> None:
    """Returns if the folder holds a sweep, whole or damaged.

    Raises:
        ResultsError: it does not; says what it holds.
    """
    if not any((folder / name).is_file() for name in (LEDGER_NAME, TRIALS_NAME, EPOCHS_NAME)):
        raise ResultsError(_no_sweep(folder))


def _frames(trials: pa.Table, epochs: pa.Table, confirmations: pa.Table) -> Frames:
    text = FREE_TEXT | {"trial_id"}
    return Frames(
        _to_pandas(trials, text=text), _to_pandas(epochs, text=FREE_TEXT), _to_pandas(confirmations, text=text)
    )


def _read_folder(folder: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
    check_sweep(folder)
    tables: dict[str, pa.Table] = {}
    damaged: dict[str, str] = {}
    for name in (TRIALS_NAME, EPOCHS_NAME):
        match _read_table(folder / name):
            case str(how):
                damaged[name] = how
            case table:
                tables[name] = table
    if damaged:
        tables |= _make_again(folder, damaged, tables)
    return tables[TRIALS_NAME], tables[EPOCHS_NAME], _read_confirmations(folder)


def _read_table(path: Path) -> pa.Table | str:
    """The table with every column of our version, or what is wrong with the file."""
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except FileNotFoundError:
        return "is missing"
    except PermissionError as error:
        raise ResultsError(f"{path}: may not be read by this user") from error
    except (pa.ArrowException, OSError):
        return "is damaged or cut short"
    return _of_our_version(path, table)


def _read_confirmations(folder: Path) -> pa.Table:
    path, ledger = folder / CONFIRMATIONS_NAME, ledger_of(folder)
    table = _read_table(path) if path.is_file() or ledger.is_file() else confirmation_table(folder.name, ())
    if not isinstance(table, str):
        return table
    if not ledger.is_file():
        said = f"{path}: {table}, and there is no {ledger.relative_to(folder)} to rebuild from; going on without it"
        _warn(said)
        return confirmation_table(folder.name, ())
    made = confirmations_of(ledger)
    kept = _put_back(folder, folder / CONFIRM_FOLDER, {CONFIRMATIONS_NAME: lambda: [made]})
    said = f"{path}: {table}; rebuilt from {ledger.relative_to(folder)}{_where(kept)}"
    _warn(said)
    return made


def near_folder(folder: Path) -> Path | None:
    """Returns the folder beside a missing one that has the most similar name; None if no name is similar."""
    beside = sorted(one.name for one in folder.parent.iterdir() if one.is_dir()) if folder.parent.is_dir() else []
    near = difflib.get_close_matches(folder.name, beside, n=1)
    return folder.parent / near[0] if near else None


def _no_sweep(folder: Path) -> str:
    if not folder.is_dir():
        near = near_folder(folder)
        return f"{folder}: there is no such folder" + (f"; did you mean {near}?" if near else "")
    inside = sorted(path.parent.name for path in folder.glob(f"*/{TRIALS_NAME}"))
    hint = f"; it holds the sweeps {', '.join(inside)}: name one of them" if inside else ""
    return f"{folder}: is not a results folder: it holds neither {TRIALS_NAME} nor {LEDGER_NAME}{hint}"


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
        kept = _put_back(folder, folder, {name: rows.groups(name) for name in damaged})
        _warn(f"{folder}: {said}; rebuilt from {LEDGER_NAME}{_where(kept)}")
        return made
    if not whole:
        raise ResultsError(f"{folder}: {said}, and there is no {LEDGER_NAME} to rebuild from: nothing can be saved")
    saved = _from_epochs(folder, whole[EPOCHS_NAME]) if TRIALS_NAME in damaged else Rows(folder.name)
    what = "trials saved without configuration and status" if TRIALS_NAME in damaged else "going on without epochs"
    _warn(f"{folder}: {said}, and there is no {LEDGER_NAME}; {what}")
    return {TRIALS_NAME: saved.trial_table(), EPOCHS_NAME: saved.epoch_table()} | whole


def _warn(said: str) -> None:
    warnings.warn(as_named(said), DamagedTableWarning, stacklevel=5)


def _where(kept: bool) -> str:
    return "" if kept else ", in memory only (the folder is in use or read-only)"


def _put_back(folder: Path, writers: Path, tables: Mapping[str, Callable[[], Iterable[pa.Table]]]) -> bool:
    """Writes tables where the damaged ones are, unless their driver is at work or the folder is read-only.

    writers: the folder that their driver locks.
    """
    lock = DriverLock(writers)
    try:
        lock.acquire()
        try:
            for name, made in tables.items():
                TableFile(folder / name).replace(made)
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
