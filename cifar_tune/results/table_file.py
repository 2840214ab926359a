"""Parquet files that are replaced while others read them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cifar_tune.results.full_disk import DiskPatience
from cifar_tune.storage.atomic_write import sync_folder

MAGIC = b"PAR1"
FOOTER_TAIL = 8
"""A footer ends with its own length in 4 bytes and the magic. Source: the Parquet format, file layout."""


class TableFile:
    """One parquet file, replaced whole: a reader, or the disk after a power failure, has one version or the next.

    pandas and pyarrow open a path twice, for the footer and for the rows. A plain replacement in between gave them
    rows that did not belong to the footer (seen once in some hundred replacements). So every version also holds the
    rows of the version before, where they were, and the footer just read stays true. The footer at the end points to
    the new rows only; the file is two to four times as large as they are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = 0
        """Where the rows of the present version begin."""
        self._end = 0
        """Where they end and the footer begins."""
        self._size = 0

    def replace(self, tables: Callable[[], Iterable[pa.Table]], patience: DiskPatience | None = None) -> None:
        """Makes these tables, one below the other and a row group each, the new version.

        Args:
            tables: called for the tables, and again for each further try.
            patience: how long to wait while the disk is full. None: not at all.

        Raises:
            ResultsError, SurroundingsError: as `DiskPatience.wait`. The present version stays.
        """
        patience = patience or DiskPatience()
        while True:
            try:
                present = self._present()
                start, rows, footer = self._placed(present, tables)
                self._write(rows, present[len(rows) :], footer)
                break
            except OSError as error:
                patience.wait(self._path, error)
        patience.end_wait()
        self._start, self._end = start, len(rows)
        self._size = max(len(rows), len(present)) + len(footer)

    def _present(self) -> memoryview:
        """What the file holds up to the end of its rows; all of it, if another writer made it."""
        content = self._path.read_bytes() if self._path.exists() else b""
        if len(content) != self._size:
            is_parquet = content[:4] == MAGIC == content[-4:]
            self._start, self._end = 0, len(content) if is_parquet else 0
        return memoryview(content)[: self._end]

    def _placed(
        self, present: memoryview, tables: Callable[[], Iterable[pa.Table]]
    ) -> tuple[int, memoryview, memoryview]:
        """The new rows before the present ones if they fit there, else after them.

        Returns where they start, the file's bytes up to their end, and the footer.
        """
        if self._end - self._start <= self._start or not present:
            rows, footer = _encode(memoryview(b""), tables())
            if len(rows) <= self._start or not present:
                return 0, rows, footer
        return self._end, *_encode(present, tables())

    def _write(self, *parts: memoryview) -> None:
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            with temporary.open("wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self._path.parent)


def release_memory() -> None:
    """Gives back what Arrow keeps for its next table: 20 MB of 90 in a driver with 10,000 trials."""
    pa.default_memory_pool().release_unused()


def _encode(before: memoryview, tables: Iterable[pa.Table]) -> tuple[memoryview, memoryview]:
    """`before` and the tables' row groups after it, and the footer that points to them.

    The writer begins with the magic, which `before` begins with too; what follows finds its place by the stream's.
    Dictionaries are for strings only: on numbers they doubled time and memory, and made the file a third larger.
    """
    stream = pa.BufferOutputStream()
    remaining = iter(tables)
    first = next(remaining)
    strings = [field.name for field in first.schema if pa.types.is_string(field.type)]
    with pq.ParquetWriter(stream, first.schema, compression="zstd", use_dictionary=strings) as writer:
        stream.write(before[len(MAGIC) :])
        writer.write_table(first)
        for table in remaining:
            writer.write_table(table)
    content = memoryview(stream.getvalue())
    footer = int.from_bytes(content[-FOOTER_TAIL:-4], "little") + FOOTER_TAIL
    return content[:-footer], content[-footer:]
