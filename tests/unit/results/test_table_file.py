"""Parquet files that are replaced while others read them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.errors import ResultsError
from cifar_tune.results.table_file import TableFile


def numbers(rows: int, seed: int) -> pa.Table:
    return pa.table({"x": [(seed * 7919 + row) % 10_007 for row in range(rows)], "name": [f"{seed}"] * rows})


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=2, max_size=8))
def test_a_footer_read_before_a_replacement_is_true_after_it(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    file = TableFile(path)
    before: tuple[pq.FileMetaData, pa.Table] | None = None
    for seed, rows in enumerate(sizes):
        table = numbers(rows, seed)
        file.replace(lambda table=table: [table.slice(0, 700), table.slice(700)])
        assert pq.read_table(path).equals(table)
        assert pd.read_parquet(path).equals(table.to_pandas())
        if before:
            assert pq.ParquetFile(path, metadata=before[0]).read().equals(before[1])
        before = pq.read_metadata(path), table


def test_a_file_of_many_versions_stays_a_few_times_as_large_as_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    file = TableFile(path)
    for version in range(40):
        file.replace(lambda version=version: [numbers(1000 + 50 * version, version)])
        alone = tmp_path / "alone.parquet"
        TableFile(alone).replace(lambda version=version: [numbers(1000 + 50 * version, version)])
        assert path.stat().st_size < 4 * alone.stat().st_size
        alone.unlink()


def test_a_new_writer_keeps_what_it_finds_readable_too(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    TableFile(path).replace(lambda: [numbers(100, 1)])
    before = pq.read_metadata(path)
    TableFile(path).replace(lambda: [numbers(10, 2)])
    assert pq.ParquetFile(path, metadata=before).read().equals(numbers(100, 1))
    assert pq.read_table(path).equals(numbers(10, 2))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"something else", b"PAR1 cut short"])
def test_what_is_no_parquet_file_is_replaced_altogether(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    TableFile(path).replace(lambda: [numbers(10, 2)])
    assert pq.read_table(path).equals(numbers(10, 2))


def test_a_folder_that_refuses_leaves_the_old_version_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    file = TableFile(path)
    file.replace(lambda: [numbers(10, 1)])
    (tmp_path / ".t.parquet.tmp").mkdir()
    with pytest.raises(ResultsError, match=r"t\.parquet: could not be written: "):
        file.replace(lambda: [numbers(10, 2)])
    os.rmdir(tmp_path / ".t.parquet.tmp")
    assert pq.read_table(path).equals(numbers(10, 1))
    file.replace(lambda: [numbers(10, 2)])
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.parquet"]
