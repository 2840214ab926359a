"""Every tracker, read back by its own reader: what a sweep sends arrives, once, and goes on where it ended."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event

from cifar_tune.cli import track as command
from cifar_tune.cli.track import TRACKERS, main, open_tracker
from cifar_tune.errors import TrackingError
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.columns import CONFIRMATION_COLUMNS, STATUSES
from cifar_tune.results.confirmations import confirmation_table, retrainings_store
from cifar_tune.tracking.confirmations import confirmation_news
from cifar_tune.tracking.event_files import TensorBoard, TensorBoardRun
from cifar_tune.tracking.following import Count, Following
from cifar_tune.tracking.record import SentRecord
from cifar_tune.tracking.tracker import TrackedTrial

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS = 60


@dataclass
class Arrived:
    """What a tracker holds of a trial."""

    accuracy: dict[int, float] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=dict)
    status: str = ""
    runs: int = 0


def from_tensorboard(folder: Path) -> dict[str, Arrived]:
    found: dict[str, Arrived] = {}
    for path in sorted((folder / "tensorboard").glob("*/events*")):
        trial = found.setdefault(path.parent.name, Arrived(runs=1))
        stream = io.BytesIO(path.read_bytes())
        while header := stream.read(12):
            event = Event.FromString(stream.read(struct.unpack("<Q", header[:8])[0]))
            stream.read(4)
            for value in event.summary.value:
                if value.tag == "validation_accuracy":
                    assert event.step not in trial.accuracy
                    trial.accuracy[event.step] = value.simple_value
                elif value.tag.startswith("trial"):
                    lines = value.tensor.string_val[0].decode().splitlines()[2:]
                    trial.configuration = dict(line.strip("| ").split(" | ") for line in lines)
                    trial.status = trial.configuration["status"]
    return found


def from_mlflow(folder: Path) -> dict[str, Arrived]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/m.db")
    experiment = client.get_experiment_by_name("s")
    assert experiment is not None
    found: dict[str, Arrived] = {}
    for run in client.search_runs([experiment.experiment_id]):
        trial = found.setdefault(run.info.run_name, Arrived())
        history = client.get_metric_history(run.info.run_id, "validation_accuracy")
        assert len({one.step for one in history}) == len(history)
        trial.accuracy |= {one.step: one.value for one in history}
        trial.configuration, trial.status = run.data.params, run.data.tags["status"]
        trial.runs += 1
        expected = {"completed": "FINISHED", "running": "RUNNING", "diverged": "FAILED", "failed": "FAILED"}
        assert run.info.status == expected.get(trial.status, "KILLED")
    return found


def from_wandb(folder: Path) -> dict[str, Arrived]:
    found: dict[str, Arrived] = {}
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        records = whole_wandb_records(path)
        run = next(record.run for record in records if record.HasField("run"))
        trial = found.setdefault(run.display_name, Arrived(runs=1))
        trial.configuration = {one.key: json.loads(one.value_json) for one in run.config.update}
        for record in records:
            if record.HasField("history"):
                row = plain(record.history.item)
                assert row["epoch"] not in trial.accuracy
                trial.accuracy[row["epoch"]] = row["validation_accuracy"]
            trial.status = plain(record.summary.update).get("status", trial.status)
    return found


def whole_wandb_records(path: Path) -> list[Any]:
    """The records of a run once it has ended: wandb's own process writes on for a moment after `finish`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError, struct.error, DecodeError):
            records = list(wandb_records(path.read_bytes()))
            if any(record.HasField("exit") for record in records):
                return records
        time.sleep(0.05)
    raise AssertionError(f"{path}: has no end")


def plain(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def wandb_records(content: bytes) -> Iterator[Any]:
    """The records of a run's file: protobuf in LevelDB's log format, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    assert content[:4] == b":W&B"
    place, block, whole = 7, 2**15, b""
    while place < len(content):
        if block - place % block < 7:
            place += block - place % block
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""


READ: Mapping[str, Callable[[Path], dict[str, Arrived]]] = {
    "tensorboard": from_tensorboard,
    "mlflow": from_mlflow,
    "wandb": from_wandb,
}
EVERY_TRACKER = [name if name == "tensorboard" else pytest.param(name, marks=pytest.mark.slow) for name in TRACKERS]


def place(name: str, folder: Path) -> str | None:
    return f"sqlite:///{folder}/m.db" if name == "mlflow" else None


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracker speaks to anyone."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)


def add_epochs(store: ResultsStore, trial_id: str, epochs: range) -> None:
    for epoch in epochs:
        store.add_epoch(trial_id, epoch, validation_accuracy=epoch / 16, epoch_seconds=2.0, lr=0.1)


@pytest.fixture
def store(tmp_path: Path) -> ResultsStore:
    """A trial of each status with two epochs."""
    store = ResultsStore.create(tmp_path / "s", sweep_name="s")
    for place, status in enumerate(STATUSES):
        configuration: dict[str, Any] = {"model.name": "mininet", "optimizer.lr": 0.125, "epochs": place}
        started = START + timedelta(minutes=place)
        store.update_trial(f"t{place}", configuration=configuration, started_at=started, status="running")
        add_epochs(store, f"t{place}", range(1, 3))
        reason = "because" if status == "stopped" else None
        store.update_trial(f"t{place}", status=status, status_reason=reason, num_parameters=1000)
    store.publish(force=True)
    return store


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
@pytest.mark.parametrize("name", EVERY_TRACKER)
def test_what_is_new_arrives_once(name: str, store: ResultsStore) -> None:
    folder = store.folder
    with store:
        assert main([str(folder), "--to", name, "--once", *(["--place", p] if (p := place(name, folder)) else [])]) == 0
        found = READ[name](folder)
        assert {trial: (one.status, one.runs) for trial, one in found.items()} == {
            f"t{number}": (status, 1) for number, status in enumerate(STATUSES)
        }
        for one in found.values():
            assert one.accuracy == {1: 1 / 16, 2: 2 / 16}
            assert one.configuration["model.name"] == "mininet"
            assert float(one.configuration["optimizer.lr"]) == 0.125

        add_epochs(store, "t0", range(3, 5))
        store.update_trial("t0", status="completed")
        store.publish(force=True)
        following = Following(open_tracker(name, place(name, folder), folder, "s"), record(name, folder))
        count = following.send(load(folder))
        assert (count.trials, count.epochs) == (1, 2)
        assert following.send(load(folder)).trials == 0
        following.close()
    again = READ[name](folder)
    assert again["t0"].accuracy == {epoch: epoch / 16 for epoch in range(1, 5)}
    assert again["t0"].status == "completed"
    assert {trial: one.runs for trial, one in again.items()} == dict.fromkeys(found, 1)
    assert {trial: one for trial, one in again.items() if trial != "t0"} == {
        trial: one for trial, one in found.items() if trial != "t0"
    }


def confirm(folder: Path, *rows: Mapping[str, Any]) -> None:
    """Writes confirmations of t1, those of four epochs that are given and no others."""
    shared = dict.fromkeys(column.name for column in CONFIRMATION_COLUMNS) | {"sweep": "s", "trial_id": "t1"}
    shared |= {
        "configuration": "c",
        "trained_on": "train",
        "epochs": 4,
        "openings": 1,
        "reason": "confirm: place 1 of 1",
    }
    pq.write_table(confirmation_table("s", [shared | row for row in rows]), folder / "confirmations.parquet")


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
@pytest.mark.parametrize("name", EVERY_TRACKER)
def test_confirmations_arrive_once_they_have_ended(name: str, store: ResultsStore) -> None:
    folder = store.folder
    store.close()
    scored = {"status": "completed", "validation_accuracy": 0.75, "test_accuracy": 0.5, "test_loss": 1.0}
    scored |= {"opened_at": START, "checkpoint": "confirm/checkpoints/x"}
    evaluated = {**scored, "seed": 0, "retrained": False, "epochs": 2, "checkpoint": "checkpoints/t1/best"}
    confirm(
        folder, scored | {"seed": 7}, {"seed": 8, "status": "running"}, {"seed": 9, "status": "diverged"}, evaluated
    )
    tracker = open_tracker(name, place(name, folder), folder, "s")

    def send() -> Count:
        following = Following(tracker, SentRecord(folder, name, tracker.place))
        try:
            return following.send(load(folder))
        finally:
            following.close()

    assert send() == Count(trials=len(STATUSES), epochs=2 * len(STATUSES), confirmations=3)
    assert send() == Count()
    found = READ[name](folder)
    assert found["t1-confirm-7"].accuracy == {4: 0.75}
    assert found["t1-confirm-7"].configuration["model.name"] == "mininet"
    assert int(found["t1-confirm-7"].configuration["seed"]) == 7
    assert found["t1-confirm-9"].status == "diverged"
    assert found["t1-evaluate-0-best"].accuracy == {2: 0.75}
    assert set(found) - {f"t{number}" for number in range(len(STATUSES))} == {
        "t1-confirm-7", "t1-confirm-9", "t1-evaluate-0-best",
    }  # fmt: skip
    confirm(folder, scored | {"seed": 7}, scored | {"seed": 8, "trained_on": "train+validation"}, evaluated)
    assert send() == Count(confirmations=1)
    assert READ[name](folder)["t1-confirm-all-8"].status == "completed"


def test_the_test_scores_of_a_confirmation_are_scalars_at_its_last_epoch(store: ResultsStore) -> None:
    store.close()
    confirm(store.folder, {"seed": 7, "status": "completed", "test_accuracy": 0.5, "test_loss": 1.0})
    (one,) = confirmation_news(load(store.folder), lambda *_: False)
    assert [(epoch, dict(values)) for epoch, values, _ in one.epochs] == [(4, {"test_accuracy": 0.5, "test_loss": 1.0})]
    assert (one.trial.outcome["confirms"], one.trial.outcome["reason"]) == ("t1", "confirm: place 1 of 1")


def test_a_confirm_at_work_is_followed_too(store: ResultsStore) -> None:
    store.close()
    assert not command.running(store.folder)
    with retrainings_store(store.folder, "s"):
        assert command.running(store.folder)
    assert not command.running(store.folder)


def record(name: str, folder: Path) -> SentRecord:
    return SentRecord(folder, name, open_tracker(name, place(name, folder), folder, "s").place)


def test_a_sweep_that_was_started_over_is_another(store: ResultsStore, tmp_path: Path) -> None:
    """The same trial name with another start is sent whole, into a run of its own."""
    with store:
        sent = record("tensorboard", store.folder)
        following = Following(open_tracker("tensorboard", None, store.folder, "s"), sent)
        following.send(load(store.folder))
        following.close()
    other = tmp_path / "other" / "s"
    with ResultsStore.create(other, sweep_name="s") as anew:
        anew.update_trial("t0", status="running", started_at=START + timedelta(days=1))
        add_epochs(anew, "t0", range(1, 2))
        anew.publish(force=True)
        count = Following(open_tracker("tensorboard", None, other, "s"), sent).send(load(other))
    assert (count.trials, count.epochs) == (1, 1)


def test_a_sweep_is_followed_until_it_ends(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.02)
    thread = threading.Thread(target=main, args=[[str(store.folder), "--to", "tensorboard"]])
    with store:
        thread.start()
        while len(from_tensorboard(store.folder)) < len(STATUSES):
            assert thread.is_alive()
        add_epochs(store, "t0", range(3, 4))
        store.publish(force=True)
        while 3 not in from_tensorboard(store.folder)["t0"].accuracy:
            assert thread.is_alive()
    thread.join()
    assert from_tensorboard(store.folder)["t0"].status == "interrupted"
    files = list((store.folder / "tensorboard" / "t0").iterdir())
    assert len(files) == 1, "the file of a running trial stays open"
    assert f"tensorboard --logdir {store.folder}/tensorboard" in capsys.readouterr().out


def test_a_tracker_that_fails_leaves_what_it_took_in_the_record(
    store: ResultsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.folder / "tensorboard").mkdir()
    (store.folder / "tensorboard" / "t3").write_text("in the way")
    with store:
        assert main([str(store.folder), "--to", "tensorboard", "--once"]) == 2
        assert "tensorboard/t3: cannot be written to" in capsys.readouterr().err
        (store.folder / "tensorboard" / "t3").unlink()
        assert main([str(store.folder), "--to", "tensorboard", "--once"]) == 0
        assert "3 trials, 6 new epochs" in capsys.readouterr().out
    assert all(one.accuracy == {1: 1 / 16, 2: 2 / 16} for one in from_tensorboard(store.folder).values())


def test_a_copy_of_a_folder_knows_what_its_own_event_files_hold(store: ResultsStore, tmp_path: Path) -> None:
    with store:
        assert main([str(store.folder), "--to", "tensorboard", "--once"]) == 0
    copy = tmp_path / "copy"
    shutil.copytree(store.folder, copy)
    following = Following(open_tracker("tensorboard", None, copy, "s"), record("tensorboard", copy))
    assert following.send(load(copy)).epochs == 0
    following.close()


class Refusing(TensorBoard):
    """A tracker whose runs take no outcome, and that counts those it opened."""

    opened = 0

    def open_run(self, trial: TrackedTrial, name: str | None) -> TensorBoardRun:
        self.opened += 1
        run = super().open_run(trial, name)
        run.write_outcome = refuse  # type: ignore[method-assign]
        return run


def refuse(_: TrackedTrial) -> None:
    raise TrackingError("not now")


def test_a_run_that_failed_is_taken_up_again_and_no_second_one_opened(store: ResultsStore) -> None:
    with store:
        tracker = Refusing(store.folder / "tensorboard")
        following = Following(tracker, record("tensorboard", store.folder))
        for _ in range(3):
            with pytest.raises(TrackingError, match="not now"):
                following.send(load(store.folder))
        following.close()
    assert tracker.opened == 1


@pytest.mark.parametrize(
    ("name", "package", "said"),
    [
        (
            "tensorboard",
            "tensorboardX",
            "needs the package tensorboardX, which is not installed: pip install tensorboardX",
        ),
        ("mlflow", "mlflow", "needs the package mlflow, which is not installed: pip install mlflow-skinny"),
        ("wandb", "wandb", "needs the package wandb, which is not installed: pip install wandb"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name: str, package: str, said: str, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with store, pytest.raises(TrackingError, match=said):
        open_tracker(name, None, store.folder, "s")
    assert not (store.folder / "tracking").exists()


@pytest.mark.slow
def test_mlflow_that_does_not_answer_is_a_message(store: ResultsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with store, pytest.raises(TrackingError, match=r"MLflow: API request to http://127.0.0.1:9/"):
        open_tracker("mlflow", "http://127.0.0.1:9", store.folder, "s")


def test_wrong_input_is_said_before_any_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere", "--to", "tensorboard"]) == 2
    assert "nowhere: there is no such folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["nowhere", "--to", "neptune"])
    assert "invalid choice: 'neptune'" in capsys.readouterr().err


def test_a_damaged_record_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "tracking").mkdir()
    (tmp_path / "tracking" / "mlflow.json").write_text('{"sq')
    with pytest.raises(OSError, match=r"mlflow.json: is damaged .*; delete it to send every trial again"):
        SentRecord(tmp_path, "mlflow", "anywhere")
