from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.dashboard import live
from cifar_tune.dashboard.live import LiveSweep
from cifar_tune.errors import ResultsError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import ResultsStore, load


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("READ_SHARE", "READ_SECONDS"):
        monkeypatch.setattr(live, name, 0)


def test_a_snapshot_is_what_load_gives(folder: Path) -> None:
    snapshot = LiveSweep(folder).snapshot()
    for name, loaded in load(folder)._asdict().items():
        pd.testing.assert_frame_equal(getattr(snapshot, name), loaded)


def test_a_copy_without_a_ledger_is_read_from_its_tables_and_again_when_they_change(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / LEDGER_NAME).unlink()
    sweep = LiveSweep(copy)
    first = sweep.snapshot()
    assert len(first.trials) == 6
    assert [row["trial_id"] for row in first.decisions] == ["t4", "t3", "t2", "t1", "t0"]
    assert sweep.snapshot() is first
    with ResultsStore.create(tmp_path / "other", sweep_name="s") as store:
        store.update_trial("t9", status="completed")
    for name in ("trials.parquet", "epochs.parquet"):
        shutil.copy(tmp_path / "other" / name, copy / name)
    assert sweep.snapshot().trials["trial_id"].tolist() == ["t9"]


def test_each_report_is_seen_at_once_and_only_what_is_new_is_read(store: ResultsStore) -> None:
    sweep = LiveSweep(store.folder)
    empty = sweep.snapshot()
    assert sweep.snapshot() is empty
    store.update_trial("t0", status="running", attempts=1)
    for epoch in (1, 2, 3):
        store.add_epoch("t0", epoch, validation_accuracy=epoch / 10)
        snapshot = sweep.snapshot()
        assert snapshot.epochs["epoch"].max() == epoch
        assert snapshot.version != empty.version
        assert list(sweep._tail.new_events()) == []


def test_between_two_readings_lies_a_pause(store: ResultsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "READ_SECONDS", 3600)
    sweep = LiveSweep(store.folder)
    sweep._read_again_at = 0
    monkeypatch.setattr(live, "LONGEST_PAUSE", 3600)
    before = sweep.snapshot()
    store.update_trial("t0", status="running")
    assert sweep.snapshot() is before


def test_a_trial_s_history_has_interruptions_and_restarts(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("t0", status="running")
        store.update_trial("t0", status="running", attempts=1)
        store.add_epoch("t0", 1, validation_accuracy=0.1)
    with ResultsStore.open(tmp_path / "s") as store:
        store.update_trial("t0", status="running", status_reason=None, attempts=2)
        store.add_epoch("t0", 2, validation_accuracy=0.2)
        store.update_trial("t0", status="completed")
        changes = [(change.epoch, change.text) for change in LiveSweep(store.folder).history("t0")]
    assert changes == [
        (0, "started"),
        (1, "interrupted: the sweep ended while the trial was running"),
        (1, "started again, attempt 2"),
        (2, "completed"),
    ]


def test_a_killed_sweep_that_is_opened_again_says_so_in_the_history(store: ResultsStore, tmp_path: Path) -> None:
    store.update_trial("t0", status="running", attempts=1)
    killed = tmp_path / "killed"
    shutil.copytree(store.folder, killed)
    sweep = LiveSweep(killed)
    with ResultsStore.open(killed):
        assert sweep.snapshot().trials["status"].tolist() == ["interrupted"]
        assert sweep.history("t0")[-1].text == "interrupted: the sweep was killed while the trial was running"


def test_a_sweep_begun_afresh_in_the_same_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("old", status="completed")
    sweep = LiveSweep(tmp_path / "s")
    (tmp_path / "s").rename(tmp_path / "before")
    assert "there is no such folder" in str(sweep.snapshot().notice)
    assert sweep.snapshot().trials["trial_id"].tolist() == ["old"]
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("new", status="running")
        snapshot = sweep.snapshot()
    assert (snapshot.trials["trial_id"].tolist(), snapshot.notice) == (["new"], None)
    assert sweep.history("old") == ()


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is not a results folder"):
        LiveSweep(tmp_path)


def test_a_damaged_table_without_ledger_is_said(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / LEDGER_NAME).unlink()
    (copy / "epochs.parquet").write_bytes(b"PAR1")
    assert "epochs.parquet is damaged or cut short" in str(LiveSweep(copy).snapshot().notice)
