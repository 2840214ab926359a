"""`load`: pandas frames from results folders in any state."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cifar_tune.errors import ResultsError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import DamagedTableWarning, ResultsStore, load
from cifar_tune.results.columns import EPOCH_COLUMNS, TRIAL_COLUMNS

STORED_VERSIONS = sorted((Path(__file__).parent / "stored_versions").iterdir())


def make_sweep(folder: Path, *, lr: object = 0.5, name: str = "") -> Path:
    with ResultsStore.create(folder, sweep_name=name or folder.name) as store:
        for place, status in enumerate(["completed", "stopped"]):
            store.update_trial(
                f"t{place}",
                status=status,
                study="relu",
                started_at=datetime(2026, 1, 1, 12, place, tzinfo=UTC),
                configuration={"optimizer.lr": lr, "model.name": "mininet"},
            )
            for epoch in range(1, 3 - place):
                rung = {"rung": 1, "rung_size": 1} if epoch == 1 else {}
                store.add_epoch(f"t{place}", epoch, validation_accuracy=epoch / 4, decision="continue", **rung)
    return folder


def test_frames_have_sensible_types(tmp_path: Path) -> None:
    trials, epochs, _ = load(make_sweep(tmp_path / "s"))
    kinds = trials.dtypes.astype(str)
    assert kinds[["status", "study", "sweep", "trial.model.name"]].tolist() == ["category"] * 4
    assert kinds[["trial_id", "error"]].tolist() == ["str", "str"]
    assert kinds["started_at"] == "datetime64[us, UTC]"
    assert kinds[["epochs_trained", "num_parameters", "trial.optimizer.lr"]].tolist() == ["int64", "Int64", "float64"]
    assert epochs.dtypes.astype(str)[["sweep", "trial_id", "epoch", "rung"]].tolist() == [
        "category", "category", "int64", "Int64",
    ]  # fmt: skip
    assert epochs["rung"].tolist() == [1, pd.NA, 1]
    assert epochs["sweep"].tolist() == ["s"] * 3


def test_several_sweeps_load_as_one_table(tmp_path: Path) -> None:
    folders = [
        make_sweep(tmp_path / "a", lr=1),
        make_sweep(tmp_path / "b", lr=0.5),
        make_sweep(tmp_path / "c", lr="auto"),
    ]
    trials, epochs, _ = load(folders[:2])
    assert trials["sweep"].tolist() == ["a", "a", "b", "b"]
    assert trials["trial.optimizer.lr"].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert epochs.groupby(["sweep", "trial_id"], observed=True).size().tolist() == [2, 1, 2, 1]
    assert load(folders).trials["trial.optimizer.lr"].astype(str).tolist()[::2] == ["1", "0.5", "auto"]
    assert load(folders).trials["status"].dtype == "category"


def test_sweeps_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [make_sweep(tmp_path / name, name="same") for name in ("a", "b")]
    assert load(folders).trials["sweep"].unique().tolist() == [str(folder) for folder in folders]


def test_empty_sweeps_load(tmp_path: Path) -> None:
    ResultsStore.create(tmp_path / "s", sweep_name="s").close()
    trials, epochs, _ = load(tmp_path / "s")
    assert (len(trials), len(epochs)) == (0, 0)
    assert list(trials.columns) == [column.name for column in TRIAL_COLUMNS]


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no results folder was named"):
        load([])
    with pytest.raises(ResultsError, match="there is no such folder"):
        load(tmp_path / "none")
    with pytest.raises(
        ResultsError, match=r"is not a results folder: it holds neither trials\.parquet nor ledger\.jsonl$"
    ):
        load(tmp_path)
    make_sweep(tmp_path / "b")
    make_sweep(tmp_path / "a")
    with pytest.raises(ResultsError, match="it holds the sweeps a, b: name one of them"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["trials.parquet", "epochs.parquet"])
@pytest.mark.parametrize("damage", ["cut short", "missing", "overwritten"])
def test_a_damaged_table_is_rebuilt_from_the_ledger_and_put_back(tmp_path: Path, name: str, damage: str) -> None:
    folder = make_sweep(tmp_path / "s")
    whole = load(folder)
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-20] if damage == "cut short" else b"\0" * len(content))
    with pytest.warns(
        DamagedTableWarning, match=rf"{name} is (missing|damaged or cut short); rebuilt from ledger.jsonl$"
    ):
        rebuilt = load(folder)
    for before, after in zip(whole, rebuilt, strict=True):
        pd.testing.assert_frame_equal(before, after)
    assert len(pd.read_parquet(path)) > 0
    load(folder)


def test_a_table_damaged_in_the_middle_is_rebuilt(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    path = folder / "epochs.parquet"
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(0).dictionary_page_offset
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.warns(DamagedTableWarning, match=r"epochs\.parquet is damaged"):
        assert len(load(folder).epochs) == 3


def test_a_table_is_rebuilt_in_memory_while_a_driver_is_at_work(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("a", status="running")
        (tmp_path / "s" / "trials.parquet").unlink()
        with pytest.warns(DamagedTableWarning, match="in memory only"):
            assert load(tmp_path / "s").trials["status"].tolist() == ["running"]
        assert not (tmp_path / "s" / "trials.parquet").exists()


def test_without_a_ledger_trials_are_saved_from_the_epochs(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    whole = load(folder)
    (folder / LEDGER_NAME).unlink()
    os.truncate(folder / "trials.parquet", 50)
    with pytest.warns(DamagedTableWarning, match="no ledger.jsonl; trials saved without configuration and status"):
        trials, epochs, _ = load(folder)
    pd.testing.assert_frame_equal(epochs, whole.epochs)
    for name in ("trial_id", "epochs_trained", "validation_accuracy", "best_epoch"):
        assert trials[name].tolist() == whole.trials[name].tolist()
    assert trials["status"].isna().all()


def test_without_a_ledger_trials_load_without_their_epochs(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    (folder / LEDGER_NAME).unlink()
    os.truncate(folder / "epochs.parquet", 50)
    with pytest.warns(DamagedTableWarning, match="going on without epochs"):
        trials, epochs, _ = load(folder)
    assert (len(trials), len(epochs)) == (2, 0)
    os.truncate(folder / "trials.parquet", 50)
    with pytest.raises(ResultsError, match=r"and there is no ledger\.jsonl to rebuild from: nothing can be saved"):
        load(folder)


def test_a_table_of_a_newer_version_or_of_another_program_is_refused(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    table = pq.read_table(folder / "trials.parquet")
    newer = {**table.schema.metadata, b"cifar_tune.schema_version": b"99"}
    pq.write_table(table.replace_schema_metadata(newer), folder / "trials.parquet")
    with pytest.raises(
        ResultsError, match="is of schema version 99, made by a newer cifar_tune; this one reads up to 1"
    ):
        load(folder)
    pq.write_table(table.replace_schema_metadata({}), folder / "trials.parquet")
    with pytest.raises(ResultsError, match="was not written by cifar_tune"):
        load(folder)


def test_columns_that_an_older_version_did_not_have_are_empty(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    for name, dropped in (("trials", "precision"), ("epochs", "rung_cutoff")):
        table = pq.read_table(folder / f"{name}.parquet").drop_columns([dropped])
        older = {**table.schema.metadata, b"cifar_tune.schema_version": b"0"}
        pq.write_table(table.replace_schema_metadata(older), folder / f"{name}.parquet")
    trials, epochs, _ = load(folder)
    assert trials["precision"].isna().all()
    assert epochs["rung_cutoff"].isna().all()


@pytest.mark.parametrize("stored", STORED_VERSIONS, ids=lambda path: path.name)
def test_a_stored_sweep_of_each_schema_version_loads(tmp_path: Path, stored: Path) -> None:
    shutil.copytree(stored, tmp_path / "s")
    trials, epochs, confirmations = load(tmp_path / "s")
    assert confirmations["test_accuracy"].tolist() == [0.625]
    assert confirmations["configuration"].tolist() == ["(model=mininet,lr=0.1)"]
    assert trials["validation_accuracy"].tolist() == [0.5, 0.25]
    assert trials["status"].tolist() == ["completed", "stopped"]
    assert trials["trial.optimizer.lr"].tolist() == [0.5, 0.5]
    assert epochs["validation_accuracy"].tolist() == [0.25, 0.5, 0.25]
    assert set(trials.columns) >= {column.name for column in TRIAL_COLUMNS}
    assert set(epochs.columns) >= {column.name for column in EPOCH_COLUMNS}


def test_unit_and_meaning_stand_in_the_field_metadata(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    schema: pa.Schema = pq.read_schema(folder / "trials.parquet")
    assert schema.field("train_seconds").metadata[b"unit"] == b"seconds"
    assert b"running, completed" in schema.field("status").metadata[b"values"]
    assert schema.field("trial.optimizer.lr").metadata[b"meaning"] == b"configuration value `optimizer.lr`"
    assert not schema.field("trial_id").nullable
    assert schema.metadata[b"cifar_tune.schema_version"] == b"1"
    assert schema.metadata[b"cifar_tune.sweep"] == b"s"


def test_a_folder_that_is_missing_is_told_with_the_one_spelt_like_it(tmp_path: Path) -> None:
    (tmp_path / "quickstart").mkdir()
    with pytest.raises(ResultsError, match=r"there is no such folder; did you mean \S*quickstart\?"):
        load(tmp_path / "quickstat")
    with pytest.raises(ResultsError, match=r"there is no such folder$"):
        load(tmp_path / "other")
