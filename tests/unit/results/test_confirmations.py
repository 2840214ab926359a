"""confirmations.parquet follows from its ledger, whatever becomes of the file or of the driver."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cifar_tune.errors import ResultsError
from cifar_tune.layout import CONFIRM_FOLDER, CONFIRMATIONS_NAME
from cifar_tune.results import DamagedTableWarning, ResultsStore, load
from cifar_tune.results.columns import CONFIRMATION_COLUMNS
from cifar_tune.results.confirmations import OPENED, PLANNED, SCORED, ConfirmationsFile, ledger_of

OPENED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def plan(store: ResultsStore, trial_id: str, seed: int) -> None:
    store.note(
        PLANNED,
        trial_id=trial_id,
        source="t0004",
        configuration="(model=mininet,lr=0.1)",
        trained_on="train",
        reason="place 1 of 6",
    )
    store.update_trial(trial_id, status="running", seed=seed, checkpoint=f"checkpoints/{trial_id}")


def score(store: ResultsStore, trial_id: str, accuracy: float) -> None:
    store.add_epoch(trial_id, 1, validation_accuracy=0.75, validation_loss=0.5, epoch_seconds=2.0)
    store.note(OPENED, trial_id=trial_id, opened_at=OPENED_AT.isoformat(), commit="abc")
    store.note(SCORED, trial_id=trial_id, test_accuracy=accuracy, test_loss=0.25)
    store.update_trial(trial_id, status="completed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep of which one configuration is confirmed with one seed, and with a second one not yet."""
    ResultsStore.create(tmp_path / "s", sweep_name="s").close()
    with ResultsStore.create(tmp_path / "s" / CONFIRM_FOLDER, sweep_name="s") as store:
        file = ConfirmationsFile(tmp_path / "s")
        plan(store, "t0004-a", 7)
        score(store, "t0004-a", 0.625)
        plan(store, "t0004-b", 8)
        file.publish()
    file.publish()
    return tmp_path / "s"


def test_a_row_is_what_the_ledger_says_of_a_retraining(folder: Path) -> None:
    rows = pq.read_table(folder / CONFIRMATIONS_NAME).to_pylist()
    assert rows[0] == {
        "sweep": "s",
        "trial_id": "t0004",
        "configuration": "(model=mininet,lr=0.1)",
        "seed": 7,
        "trained_on": "train",
        "status": "completed",
        "status_reason": None,
        "validation_accuracy": 0.75,
        "validation_loss": 0.5,
        "test_accuracy": 0.625,
        "test_loss": 0.25,
        "epochs": 1,
        "opened_at": OPENED_AT,
        "openings": 1,
        "commit": "abc",
        "retrained": True,
        "reason": "place 1 of 6",
        "train_seconds": 2.0,
        "checkpoint": "confirm/checkpoints/t0004-a",
        **dict.fromkeys(("threads", "cpu_model", "instruction_set", "validation_images", "test_images")),
    }
    assert [row["seed"] for row in rows] == [7, 8]
    assert (rows[1]["status"], rows[1]["test_accuracy"], rows[1]["openings"]) == ("interrupted", None, 0)


def test_an_opening_that_gave_no_score_is_counted(folder: Path) -> None:
    with ResultsStore.open(folder / CONFIRM_FOLDER) as store:
        store.note(OPENED, trial_id="t0004-b", opened_at=OPENED_AT.isoformat(), commit="abc")
        score(store, "t0004-b", 0.5)
    ConfirmationsFile(folder).publish()
    assert load(folder).confirmations["openings"].tolist() == [1, 2]
    assert load(folder).confirmations["test_accuracy"].tolist() == [0.625, 0.5]


def test_score_time_and_commit_are_those_of_the_last_opening_that_gave_a_score(folder: Path) -> None:
    later = OPENED_AT + timedelta(days=1)
    with ResultsStore.open(folder / CONFIRM_FOLDER) as store:
        store.note(OPENED, trial_id="t0004-a", opened_at=later.isoformat(), commit="def")
        store.note(SCORED, trial_id="t0004-a", test_accuracy=0.75, test_loss=0.5)
        store.note(OPENED, trial_id="t0004-a", opened_at=(later + timedelta(days=1)).isoformat(), commit="torn away")
    ConfirmationsFile(folder).publish()
    row = load(folder).confirmations.iloc[0]
    assert (row["test_accuracy"], row["test_loss"], row["opened_at"], row["commit"]) == (0.75, 0.5, later, "def")
    assert row["openings"] == 3


def test_a_planned_retraining_that_has_not_begun_has_no_row(folder: Path) -> None:
    with ResultsStore.open(folder / CONFIRM_FOLDER) as store:
        store.note(PLANNED, trial_id="later", source="t", configuration="c", trained_on="train", reason="r")
    ConfirmationsFile(folder).publish()
    assert len(load(folder).confirmations) == 2


def test_confirmations_load_with_sensible_types(folder: Path) -> None:
    kinds = load(folder).confirmations.dtypes.astype(str)
    assert kinds[["trained_on", "status", "configuration"]].tolist() == ["category"] * 3
    assert kinds[["opened_at", "seed", "test_accuracy"]].tolist() == ["datetime64[us, UTC]", "int64", "float64"]


def test_unit_and_meaning_stand_in_the_field_metadata(folder: Path) -> None:
    schema: pa.Schema = pq.read_schema(folder / CONFIRMATIONS_NAME)
    assert schema.names == [column.name for column in CONFIRMATION_COLUMNS]
    assert schema.field("test_loss").metadata[b"unit"] == b"nats per image"
    assert schema.field("trained_on").metadata[b"values"] == b"train, train+validation"
    assert schema.metadata[b"cifar_tune.schema_version"] == b"1"


def test_a_sweep_without_confirmations_has_an_empty_table(folder: Path, tmp_path: Path) -> None:
    ResultsStore.create(tmp_path / "other", sweep_name="other").close()
    assert len(load(tmp_path / "other").confirmations) == 0
    both = load([folder, tmp_path / "other"]).confirmations
    assert both["sweep"].tolist() == ["s", "s"]
    assert both["opened_at"].dtype == "datetime64[us, UTC]"


@pytest.mark.parametrize("damage", ["cut short", "missing"])
def test_a_damaged_table_is_rebuilt_from_the_ledger_and_put_back(folder: Path, damage: str) -> None:
    whole = load(folder).confirmations
    path = folder / CONFIRMATIONS_NAME
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 20)
    with pytest.warns(DamagedTableWarning, match=r"rebuilt from confirm/ledger\.jsonl$"):
        rebuilt = load(folder).confirmations
    pd.testing.assert_frame_equal(rebuilt, whole)
    pd.testing.assert_frame_equal(load(folder).confirmations, whole)


def test_a_damaged_table_without_a_ledger_is_said_and_left_out(folder: Path) -> None:
    shutil.rmtree(folder / CONFIRM_FOLDER)
    assert len(load(folder).confirmations) == 2
    os.truncate(folder / CONFIRMATIONS_NAME, 30)
    with pytest.warns(DamagedTableWarning, match="there is no confirm/ledger.jsonl to rebuild from; going on"):
        assert len(load(folder).confirmations) == 0


def test_a_table_of_a_newer_version_is_refused(folder: Path) -> None:
    path = folder / CONFIRMATIONS_NAME
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"cifar_tune.schema_version": b"9"}), path)
    with pytest.raises(ResultsError, match="is of schema version 9, made by a newer cifar_tune"):
        load(folder)


def test_a_table_that_lags_behind_the_ledger_catches_up(folder: Path) -> None:
    """A driver that was killed between a note and the table that follows from it."""
    with ResultsStore.open(folder / CONFIRM_FOLDER) as store:
        score(store, "t0004-b", 0.5)
    assert load(folder).confirmations["status"].tolist() == ["completed", "interrupted"]
    ConfirmationsFile(folder).publish()
    assert load(folder).confirmations["status"].tolist() == ["completed", "completed"]
    assert ledger_of(folder).is_file()
