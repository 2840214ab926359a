"""The store: what was reported stands in both tables, once, with the columns that follow from it."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.errors import ResultsError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.columns import EPOCH_COLUMNS, TRIAL_COLUMNS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sweep"


def accuracy(epoch: int) -> float:
    return 0.9 * (1 - math.exp(-epoch / 3)) - (0.1 if epoch == 5 else 0)


def report(store: ResultsStore, trial_id: str, epoch: int, **values: object) -> bool:
    """An epoch whose numbers follow from a formula."""
    defaults: dict[str, object] = {
        "train_loss": 1 / epoch,
        "train_accuracy": accuracy(epoch) + 0.02,
        "validation_loss": 1.5 / epoch,
        "validation_accuracy": accuracy(epoch),
        "lr": 0.1,
        "epoch_seconds": 2.0 + epoch,
        "images_per_second": 100.0 * epoch,
        "peak_memory_bytes": 1000 - epoch,
        "decision": "continue",
    }
    return store.add_epoch(trial_id, epoch, **(defaults | values))


def test_both_tables_are_there_from_the_first_moment(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s"):
        for name, columns in (("trials", TRIAL_COLUMNS), ("epochs", EPOCH_COLUMNS)):
            frame = pd.read_parquet(folder / f"{name}.parquet")
            assert len(frame) == 0
            assert list(frame.columns) == [column.name for column in columns]


def test_what_is_reported_is_read_back_with_pandas(folder: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial(
            "a", study="relu", seed=7, started_at=moment, configuration={"optimizer.lr": 0.1, "epochs": 3}
        )
        store.update_trial("a", status="completed", node="here")
        report(store, "a", 1)
    trials = pd.read_parquet(folder / "trials.parquet")
    assert trials.loc[0, ["sweep", "study", "trial_id", "seed", "status", "node"]].tolist() == [
        "s", "relu", "a", 7, "completed", "here",
    ]  # fmt: skip
    assert trials.loc[0, ["trial.optimizer.lr", "trial.epochs"]].tolist() == [0.1, 3]
    assert trials["started_at"][0] == pd.Timestamp("2026-01-02 01:04:05", tz="UTC")
    assert trials["error"].isna().all()
    epochs = pd.read_parquet(folder / "epochs.parquet")
    assert epochs.loc[0, ["trial_id", "epoch", "train_loss", "decision"]].tolist() == ["a", 1, 1.0, "continue"]
    assert epochs["rung"].isna().all()


def test_columns_that_follow_from_the_epochs_agree_with_their_definitions(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        for trial_id, count in (("none", 0), ("five", 5), ("one", 1), ("unvalidated", 2)):
            store.update_trial(trial_id, status="completed")
            for epoch in range(1, count + 1):
                skipped = {"validation_accuracy": None, "validation_loss": None} if trial_id == "unvalidated" else {}
                report(store, trial_id, epoch, **skipped)
        of_store = {trial_id: store.trial(trial_id) for trial_id in store.trial_ids()}
    frame = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")

    five = frame.loc["five"]
    assert five["epochs_trained"] == 5
    assert five["validation_accuracy"] == accuracy(5) < accuracy(4) == five["best_validation_accuracy"]
    assert five["best_epoch"] == 4
    assert five["train_accuracy"] == accuracy(5) + 0.02
    assert five["generalization_gap"] == pytest.approx(0.02)
    assert five["train_loss"] == 1 / 5
    assert five["validation_loss"] == 1.5 / 5
    assert five["train_seconds"] == sum(2.0 + epoch for epoch in range(1, 6))
    assert five["images_per_second"] == pytest.approx(
        statistics.harmonic_mean([100.0 * epoch for epoch in range(1, 6)])
    )
    assert five["peak_memory_bytes"] == 999

    assert frame.loc["none", "epochs_trained"] == 0
    assert frame.loc["none", ["validation_accuracy", "best_epoch", "train_seconds", "peak_memory_bytes"]].isna().all()
    assert frame.loc["unvalidated", ["validation_accuracy", "best_epoch", "generalization_gap"]].isna().all()
    assert frame.loc["unvalidated", "train_loss"] == 0.5
    for trial_id, row in of_store.items():
        for column in TRIAL_COLUMNS:
            in_table = frame.loc[trial_id, column.name] if column.name != "trial_id" else trial_id
            assert row[column.name] == in_table or (row[column.name] is None and pd.isna(in_table)), column.name


def test_last_values_are_of_the_last_validated_epoch(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a")
        report(store, "a", 2)
        report(store, "a", 3, validation_accuracy=float("nan"), validation_loss=None, train_accuracy=0.99)
        row = store.trial("a")
    assert row["validation_accuracy"] == accuracy(2)
    assert row["validation_loss"] == 0.75
    assert row["train_accuracy"] == 0.99
    assert row["generalization_gap"] == pytest.approx(0.02)


def test_an_epoch_reported_twice_stays_as_it_was_first(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a")
        assert report(store, "a", 1, train_loss=1.0)
        size = (folder / LEDGER_NAME).stat().st_size
        assert not report(store, "a", 1, train_loss=2.0)
        assert (folder / LEDGER_NAME).stat().st_size == size
        assert [row["train_loss"] for row in store.epochs("a")] == [1.0]


def test_epochs_stand_trial_by_trial_in_order_however_they_arrive(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        for trial_id in ("b", "a"):
            store.update_trial(trial_id)
        for trial_id, epoch in (("a", 2), ("b", 1), ("a", 1), ("b", 3), ("b", 2)):
            assert report(store, trial_id, epoch)
        assert [row["epoch"] for row in store.epochs("b")] == [1, 2, 3]
    epochs = pd.read_parquet(folder / "epochs.parquet")
    assert list(zip(epochs["trial_id"], epochs["epoch"], strict=True)) == [
        ("b", 1), ("b", 2), ("b", 3), ("a", 1), ("a", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "int64"),
        ([1, 0.5], "double"),
        ([True, False], "bool"),
        (["a", "b"], "string"),
        ([None, 3], "int64"),
        ([None, None], "string"),
    ],
)
def test_a_configuration_column_takes_the_type_that_holds_all_its_values(
    folder: Path, values: list[object], kind: str
) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        for place, value in enumerate(values):
            store.update_trial(str(place), configuration={"x": value})
    column = pq.read_table(folder / "trials.parquet")["trial.x"]
    assert str(column.type) == kind
    assert column.to_pylist() == values


def test_a_configuration_column_of_mixed_kinds_is_text(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        for place, value in enumerate(["auto", 2, 0.5, True, None, [1, "a"], {"name": "sgd"}]):
            store.update_trial(str(place), configuration={"x": value})
    column = pq.read_table(folder / "trials.parquet")["trial.x"]
    assert column.to_pylist() == ["auto", "2", "0.5", "true", None, '[1, "a"]', '{"name": "sgd"}']


def test_a_path_that_only_later_trials_have_is_missing_in_the_earlier(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a", configuration={"optimizer.name": "sgd", "epochs": 1})
        store.update_trial("b", configuration={"optimizer.name": "adamw", "optimizer.betas": 0.9})
        store.update_trial("a", configuration={"optimizer.name": "lion"})
    frame = pd.read_parquet(folder / "trials.parquet")
    assert frame["trial.optimizer.name"].tolist() == ["lion", "adamw"]
    assert [name for name in frame.columns if name.startswith("trial.")] == [
        "trial.optimizer.name", "trial.optimizer.betas", "trial.epochs",
    ]  # fmt: skip
    assert frame["trial.optimizer.betas"].isna().tolist() == [True, False]


def test_numpy_scalars_and_paths_are_taken_as_what_they_are(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a", num_parameters=np.int64(5), flops_per_image=np.float32(0.5), checkpoint=Path("c/a"))
        store.note("proposal", value=np.float64(0.25), at=datetime(2026, 1, 1, tzinfo=UTC))
        assert list(store.notes("proposal")) == [{"value": 0.25, "at": "2026-01-01T00:00:00+00:00"}]
        row = store.trial("a")
    assert (row["num_parameters"], row["flops_per_image"], row["checkpoint"]) == (5, 0.5, "c/a")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": 1}, "trials.parquet: `colour` is not a column; see results/README.md"),
        ({"best_epoch": 1}, "trials.parquet: `best_epoch` is set by the store itself"),
        ({"status": "done"}, "trials.parquet: status: 'done' is none of running, completed, stopped"),
        ({"attempts": 1.5}, "trials.parquet: attempts: 1.5 is not an int"),
        ({"node": 1}, "trials.parquet: node: 1 is not a string (got int)"),
        ({"baseline": 1}, "trials.parquet: baseline: 1 is not a bool (got int)"),
        ({"wall_seconds": "1"}, "trials.parquet: wall_seconds: '1' is not a float (got str)"),
        ({"seed": 2**64}, "beyond 64 bits"),
        ({"started_at": datetime(2026, 1, 1)}, "has no time zone; pass datetime.now(UTC)"),
        ({"started_at": 5}, "trials.parquet: started_at: 5 is not a time (got int)"),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_refused(folder: Path, values: dict[str, object], message: str) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        with pytest.raises(ResultsError) as error:
            store.update_trial("a", **values)
        assert message in str(error.value)
        assert store.trial_ids() == []


def test_an_epoch_that_makes_no_sense_is_refused(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        with pytest.raises(ResultsError, match="before it was made known by update_trial"):
            report(store, "a", 1)
        store.update_trial("a")
        with pytest.raises(ResultsError, match="the first epoch is 1"):
            store.add_epoch("a", 0)
        with pytest.raises(ResultsError, match=r"epochs\.parquet: `colour` is not a column"):
            report(store, "a", 1, colour=1)
        with pytest.raises(ResultsError, match="no JSON form"):
            store.note("odd", value=object())
        with pytest.raises(ResultsError, match="the sweep has no trial `b`"):
            store.trial("b")
        with pytest.raises(ResultsError, match="the sweep has no trial `b`"):
            store.epochs("b")
        assert store.epochs("a") == []


def test_create_refuses_a_folder_that_holds_a_sweep(folder: Path) -> None:
    ResultsStore.create(folder, sweep_name="s").close()
    with pytest.raises(ResultsError, match="holds a sweep already; --resume finishes it, --extend adds to it, --fresh"):
        ResultsStore.create(folder, sweep_name="s")
    (folder / LEDGER_NAME).unlink()
    with pytest.raises(ResultsError, match="holds a sweep already"):
        ResultsStore.create(folder, sweep_name="s")


def test_create_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResultsError, match="cannot be made a results folder: "):
        ResultsStore.create(tmp_path / "file", sweep_name="s")


def test_open_refuses_a_folder_without_a_ledger(folder: Path) -> None:
    with pytest.raises(ResultsError, match="holds no sweep that could be continued"):
        ResultsStore.open(folder)


def test_open_continues_where_the_last_driver_stopped(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a", status="completed", started_at=datetime(2026, 1, 1, tzinfo=UTC), configuration={"x": 1})
        report(store, "a", 1)
        store.note("proposal", number=1)
        store.note("other", number=2)
        before = store.trial("a"), store.epochs("a")
    with ResultsStore.open(folder) as store:
        assert store.sweep_name == "s"
        assert (store.trial("a"), store.epochs("a")) == before
        assert list(store.notes("proposal")) == [{"number": 1}]
        assert not report(store, "a", 1)
        assert report(store, "a", 2)
        store.note("proposal", number=3)
        assert list(store.notes("proposal")) == [{"number": 1}, {"number": 3}]
    assert pd.read_parquet(folder / "epochs.parquet")["epoch"].tolist() == [1, 2]


def test_a_trial_still_running_at_the_end_is_interrupted(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a", status="running")
    frame = pd.read_parquet(folder / "trials.parquet")
    assert frame.loc[0, ["status", "status_reason"]].tolist() == [
        "interrupted", "the sweep ended while the trial was running",
    ]  # fmt: skip


def test_two_drivers_do_not_share_a_folder(folder: Path) -> None:
    holder = "from cifar_tune.results import ResultsStore; from pathlib import Path; import sys, os; "
    holder += "store = ResultsStore.create(Path(sys.argv[1]), sweep_name='s'); "
    holder += "print(os.getpid(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        for start in (lambda: ResultsStore.create(folder, sweep_name="s"), lambda: ResultsStore.open(folder)):
            with pytest.raises(ResultsError, match=rf"a sweep is writing here \(process {pid} on .*; wait for it"):
                start()
        process.kill()
        process.wait()
    ResultsStore.open(folder).close()


def test_publishing_takes_at_most_a_twentieth_of_the_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with ResultsStore.create(folder, sweep_name="s") as store:
        stamps = set()
        for _ in range(100):
            clock[0] += 0.05
            store.update_trial(f"t{len(store.trial_ids())}")
            stamps.add((folder / "trials.parquet").stat().st_ino)
        assert 1 <= len(stamps) <= 6
        store.publish()
        assert len(pd.read_parquet(folder / "trials.parquet")) < 100
        store.publish(force=True)
        assert len(pd.read_parquet(folder / "trials.parquet")) == 100


def test_a_full_disk_loses_no_row_and_is_told(folder: Path) -> None:
    """A file size limit stands for the full disk: the kernel cuts the write short in the same way."""
    script = """
import resource, signal, sys, warnings
from pathlib import Path
from cifar_tune.errors import ResultsError
from cifar_tune.results import ResultsStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = ResultsStore.create(Path(sys.argv[1]), sweep_name="s")
store.update_trial("a", status="running")
size = (Path(sys.argv[1]) / "ledger.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        store.update_trial("b", status="running")
    except ResultsError as error:
        print(error)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    store._publish_at = 0.0
    store.publish()
    print("told" if told and "could not be written" in str(told[0].message) else "silent")
try:
    store.publish(force=True)
except ResultsError as error:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.update_trial("c", status="running")
store.close()
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert all("ledger.jsonl: could not be written" in line for line in lines[:2])
    assert lines[2:] == ["told", "refused"]
    assert load(folder).trials["trial_id"].tolist() == ["a", "c"]


values_of_epochs = st.fixed_dictionaries(
    {},
    optional={
        "train_loss": st.none() | st.floats(),
        "validation_accuracy": st.none() | st.floats(0, 1),
        "peak_memory_bytes": st.none() | st.integers(0, 2**62),
        "decision": st.sampled_from(["continue", "stop"]),
        "rung_rank": st.none() | st.integers(1, 100),
    },
)
configuration_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
events = st.lists(
    st.tuples(st.just("trial"), st.sampled_from("abc"), st.dictionaries(st.sampled_from("xy"), configuration_values))
    | st.tuples(st.just("epoch"), st.sampled_from("abc"), st.integers(1, 5), values_of_epochs),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(events=events)
def test_reopening_and_rebuilding_give_the_tables_that_the_writer_had(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[object, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    with ResultsStore.create(folder, sweep_name="s") as store:
        for kind, trial_id, *rest in events:
            if kind == "trial":
                store.update_trial(trial_id, configuration=rest[0])
            elif trial_id in store.trial_ids():
                store.add_epoch(trial_id, rest[0], **rest[1])
    written = {name: pq.read_table(folder / f"{name}.parquet") for name in ("trials", "epochs")}
    ResultsStore.open(folder).close()
    for name, table in written.items():
        assert pq.read_table(folder / f"{name}.parquet").equals(table, check_metadata=True)
    pairs = list(zip(*(written["epochs"][name].to_pylist() for name in ("trial_id", "epoch")), strict=True))
    assert len(pairs) == len(set(pairs))


def test_the_ledger_is_one_json_object_a_line(folder: Path) -> None:
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("a", seed=1, configuration={"x": 2})
        report(store, "a", 1, train_accuracy=None)
    lines = [json.loads(line) for line in (folder / LEDGER_NAME).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["created", "trial", "epoch"]
    assert lines[1]["configuration"] == {"x": 2}
    assert "train_accuracy" not in lines[2]["values"]
