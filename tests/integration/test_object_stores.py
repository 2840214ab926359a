"""Folders that stand for addresses, and checkpoints at addresses, in stores that speak S3's and Google's protocol."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cifar_tune.cli import results_place
from cifar_tune.cli.results_place import open_for_reading, open_for_writing
from cifar_tune.errors import CheckpointError, ResultsError, StorageError
from cifar_tune.execution.cluster.nodes import DRIVER_FILE, _storage_problems
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.ledger import events
from cifar_tune.storage import replica as replicas
from cifar_tune.storage.address import Address
from cifar_tune.storage.folders import mirrored
from cifar_tune.storage.replica import Replica, replica_folder
from cifar_tune.training.bucket_checkpoints import BucketCheckpoints
from cifar_tune.training.checkpoint import serialize
from cifar_tune.training.clone_checkpoint import clone_checkpoint
from cifar_tune.training.epochs import open_trial
from cifar_tune.training.manifest import MANIFEST, MODEL, TRAINING
from cifar_tune.training.retention import checkpoint_files, freed_bytes, removal
from cifar_tune.training.trial import TrialConfig
from tests.integration.stores import PATIENCE_SECONDS, S3, Google, Hasty, running

pytestmark = pytest.mark.slow

TRIAL = {
    "dataset": {"name": "digits", "train_size": 100, "validation_fraction": 0.25},
    "model": {"name": "mininet", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "batch_size": 25,
    "epochs": 4,
}


@pytest.fixture(scope="module", params=[S3, Google], ids=["s3", "gs"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3 | Google]:
    with running(request.param, tmp_path_factory.mktemp("cache")) as server:
        server.make("bucket")
        yield server


@pytest.fixture
def address(store: S3 | Google, request: pytest.FixtureRequest) -> Address:
    """A place of the test's own."""
    bucket = "s3://bucket" if isinstance(store, S3) else "gs://anonymous@bucket"
    return Address.parse(f"{bucket}/{abs(hash(request.node.name))}/x")


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    with running(S3, tmp_path / "cache") as server:
        assert isinstance(server, S3)
        yield server


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this is another machine, as far as the copies go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))


def begin(folder: Path) -> ResultsStore:
    sweep = ResultsStore.create(folder, sweep_name="s")
    sweep.update_trial("t0001", status="running", study="all", configuration={"epochs": 2}, seed=0)
    return sweep


def test_objects_are_written_read_copied_listed_and_deleted(address: Address) -> None:
    assert address.objects() == {}
    assert not address.exists()
    assert (address / "a").stamp() is None
    with pytest.raises(FileNotFoundError):
        (address / "a").read_bytes()
    large = os.urandom(12_000_000)
    for content in (b"one", b"", large):
        (address / "a").write_bytes(content)
        assert (address / "a").read_bytes() == content
    (address / "a").copy_to(address / "below" / "b c")
    assert {name: size for name, (size, _) in address.objects().items()} == {"a": len(large), "below/b c": len(large)}
    assert list(address.objects(without="below")) == ["a"]
    assert abs((address / "a").stamp()[1] - time.time()) < 3600
    assert address.exists()
    assert (address / "below").exists()
    (address / "a").unlink()
    (address / "a").unlink()
    assert list(address.objects()) == ["below/b c"]
    address.remove()
    assert address.objects() == {}


def test_a_check_leaves_nothing(address: Address) -> None:
    address.check()
    assert address.objects() == {}


def test_a_bucket_that_is_not_there_is_told(store: S3 | Google) -> None:
    bucket = "s3://nowhere" if isinstance(store, S3) else "gs://anonymous@nowhere"
    with pytest.raises(StorageError, match=f"{bucket}/x: there is no such bucket; make it first"):
        Address.parse(f"{bucket}/x").check()


def test_what_was_secured_is_at_the_address_though_the_process_dies(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mirrored(address) as replica:
        assert replica.fetch()
        sweep = begin(replica.folder)
        for epoch in (1, 2, 3):
            sweep.add_epoch("t0001", epoch, validation_accuracy=epoch / 10)
            sweep.secure()
        kept = (replica.folder / LEDGER_NAME).read_bytes()
        sweep.add_epoch("t0001", 4, validation_accuracy=0.4)
    elsewhere(tmp_path, monkeypatch)
    with mirrored(address) as other:
        other.fetch()
        assert (other.folder / LEDGER_NAME).read_bytes() == kept


def test_tables_at_the_address_are_whole_and_pandas_reads_them(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_for_writing(address) as folder, begin(folder) as sweep:
        sweep.add_epoch("t0001", 1, validation_accuracy=0.5)
    epochs = pd.read_parquet(str(address / "epochs.parquet"))
    assert epochs.validation_accuracy.tolist() == [0.5]
    assert set(address.objects()) == {"ledger.jsonl", "trials.parquet", "epochs.parquet"}
    elsewhere(tmp_path, monkeypatch)
    frames = load(str(address))
    assert frames.trials.status.tolist() == ["interrupted"]
    assert frames.epochs.epoch.tolist() == [1]


def test_a_reader_fetches_what_is_new_and_drops_what_is_gone(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_for_writing(address) as folder, begin(folder):
        (folder / "report").mkdir()
        (folder / "report" / "index.html").write_text("first")
    elsewhere(tmp_path, monkeypatch)
    with open_for_reading(address) as here:
        assert (here / "report" / "index.html").read_text() == "first"
        (here / "report" / "more.png").write_bytes(b"drawn here")
    assert (address / "report" / "more.png").read_bytes() == b"drawn here"
    (address / "report" / "index.html").write_bytes(b"second")
    (address / "report" / "more.png").unlink()
    with open_for_reading(address) as here:
        assert (here / "report" / "index.html").read_text() == "second"
        assert not (here / "report" / "more.png").exists()


def test_what_comes_while_a_sweep_is_followed_is_seen(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_for_writing(address) as folder, begin(folder):
        pass
    elsewhere(tmp_path, monkeypatch)
    monkeypatch.setattr(results_place, "PAUSE_SECONDS", 0.05)
    with open_for_reading(address, following=True) as here:
        (address / "sweep.yaml").write_bytes(b"name: s")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (here / "sweep.yaml").exists():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.05)


def test_a_copy_that_goes_on_from_the_address_is_kept_and_one_that_does_not_is_replaced(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers() -> list[int]:
        return [event["epoch"] for event in events(replica_folder(address) / LEDGER_NAME, kind="epoch")]

    with open_for_writing(address) as folder, begin(folder) as sweep:
        sweep.add_epoch("t0001", 1)
    with ResultsStore.open(folder) as sweep:
        sweep.add_epoch("t0001", 2)  # nothing is sent: the address could not be reached
    with open_for_reading(address):
        assert numbers() == [1, 2]
    here = os.environ["XDG_CACHE_HOME"]
    elsewhere(tmp_path, monkeypatch)
    with open_for_writing(address) as folder, ResultsStore.open(folder) as sweep:
        assert numbers() == [1, 2]
        sweep.add_epoch("t0001", 3)
    monkeypatch.setenv("XDG_CACHE_HOME", here)
    with ResultsStore.open(replica_folder(address)) as sweep:
        sweep.add_epoch("t0001", 7)
    with open_for_reading(address):
        assert numbers() == [1, 2, 3]


def test_another_driver_is_kept_out_until_the_first_is_no_longer_heard_of(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_for_writing(address) as folder, begin(folder):
        pass
    note = {"pid": 1, "node": "another machine", "process_started": 0.0, "since": "yesterday"}
    (address / ".driver.json").write_bytes(json.dumps(note).encode())
    with (
        open_for_writing(address) as folder,
        pytest.raises(ResultsError, match="process 1 on another machine since yesterday"),
    ):
        ResultsStore.open(folder)
    monkeypatch.setattr(replicas, "LEASE_SECONDS", -1.0)
    with open_for_writing(address) as folder, ResultsStore.open(folder):
        assert json.loads((address / ".driver.json").read_bytes())["pid"] == os.getpid()
    assert not (address / ".driver.json").exists()


def test_a_driver_that_was_taken_over_writes_nothing_more(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "PAUSE_SECONDS", 0.0)
    with mirrored(address) as replica:
        replica.fetch()
        sweep = begin(replica.folder)
        sweep.secure()
        before = address.objects().keys()
        (address / ".driver.json").write_bytes(b"another's")
        sweep.add_epoch("t0001", 1)
        for attempt in (sweep.secure, replica.send):
            with pytest.raises(ResultsError, match="another process has taken over"):
                attempt()
        sweep.close()
    assert address.objects().keys() == before
    assert (address / ".driver.json").read_bytes() == b"another's"


def test_a_refused_sweep_leaves_nothing_at_the_address(address: Address) -> None:
    with open_for_writing(address) as folder:
        begin(folder).close()
        with mirrored(address) as replica:
            replica.send()
        assert address.objects()
        shutil.rmtree(folder)
    assert address.objects() == {}


def test_a_node_says_what_it_cannot_do_there(address: Address) -> None:
    storage = address / ".nodes"
    assert "cannot read and write the results folder" in _storage_problems(storage, "node")[0]
    (storage / DRIVER_FILE).write_bytes(b"")
    assert _storage_problems(storage, "node") == ()
    assert (storage / "node").exists()


def trained(address: Address, epochs: int) -> tuple[BucketCheckpoints, list[dict[str, bytes]]]:
    """The checkpoints of a trial after so many epochs, and their files."""
    opened = open_trial(TrialConfig.model_validate(TRIAL), root=Path(), device="cpu", checkpoints=address)
    files = []
    for metrics in opened.epochs():
        files.append(serialize(opened.state, opened.trial, opened.data.info))
        if metrics.epoch == epochs:
            break
    assert isinstance(opened.folder, BucketCheckpoints)
    return opened.folder, files


def epoch_of(folder: BucketCheckpoints) -> int | None:
    found = folder.newest()
    return None if found is None else found.training["epoch"]


def curve(**where: Any) -> list[tuple[float, float | None]]:
    opened = open_trial(TrialConfig.model_validate(TRIAL), root=Path(), device="cpu", **where)
    list(opened.epochs())
    return [(metrics.train_loss, metrics.validation_loss) for metrics in opened.state.history]


def test_a_trial_goes_on_elsewhere_as_if_nothing_had_happened(address: Address) -> None:
    trained(address, 2)
    assert {name.partition("/")[0] for name in address.objects()} == {".writer", "last", "previous", "best"}
    assert curve(checkpoints=address) == curve(checkpoints=None)


@pytest.mark.parametrize("torn", range(4))
def test_killed_while_it_saves_a_trial_has_a_whole_checkpoint(address: Address, torn: int) -> None:
    """torn: how many files of the third checkpoint have replaced those of the second."""
    _, files = trained(address, 3)
    for name, content in files[1].items():
        (address / "previous" / name).write_bytes(content)
    for name, content in [*files[2].items()][:torn] + [*files[1].items()][torn:]:
        (address / "last" / name).write_bytes(content)
    again = BucketCheckpoints(address)
    with pytest.warns(UserWarning, match="going on from previous") if torn else nullcontext():
        assert epoch_of(again) == 2
    again.save(files[2])
    assert epoch_of(BucketCheckpoints(address)) == 3
    (address / "last" / MODEL).unlink()
    with pytest.warns(UserWarning, match="going on from previous"):
        assert epoch_of(BucketCheckpoints(address)) == 2


def test_a_worker_whose_trial_was_taken_over_saves_nothing_more(address: Address) -> None:
    first, files = trained(address, 1)
    second, _ = trained(address, 2)
    with pytest.raises(CheckpointError, match="another process has taken over this trial"):
        first.save(files[0])
    assert epoch_of(second) == 2


def test_a_trial_begins_from_anothers_checkpoint(address: Address) -> None:
    trained(address / "t0001", 3)
    for epoch, expected in ((3, 3), (2, 2), (1, None)):
        child = address / f"t{epoch}"
        clone_checkpoint(child, address / "t0001", epoch)
        assert epoch_of(BucketCheckpoints(child)) == expected
    origin = json.loads((address / "t3" / "origin.json").read_bytes())
    assert origin == {"trial_id": "t0001", "epoch": 3}


REFUSALS: dict[str, tuple[Callable[[S3, str], None], str]] = {
    "read-only": (lambda server, bucket: server.forbid(bucket, "s3:PutObject"), "access is denied"),
    "write-only": (lambda server, bucket: server.forbid(bucket, "s3:GetObject"), "access is denied"),
    "for others": (lambda server, _: server.know_nobody(), "the credentials are not accepted"),
    "unreachable": (lambda server, _: server.end(), "the store cannot be reached"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_bucket_that_cannot_be_used_is_told_before_any_work(s3: S3, case: str) -> None:
    s3.make(bucket := f"only{s3.port}")
    refuse, said = REFUSALS[case]
    refuse(s3, bucket)
    address = Address.parse(f"s3://{bucket}/x")
    with pytest.raises(StorageError, match=f"^{address}: {said}"), open_for_writing(address):
        pytest.fail("it was let in")
    assert not replica_folder(address).exists()


@pytest.mark.parametrize("case", ["read-only", "for others", "not there"])
def test_a_refusal_is_heard_of_a_store_that_hangs_up_on_what_is_sent(
    s3: S3, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = f"hasty{s3.port}"
    said = "there is no such bucket"
    if case in REFUSALS:
        s3.make(bucket)
        refuse, said = REFUSALS[case]
        refuse(s3, bucket)
    hasty = Hasty(s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", hasty.url)
    try:
        with pytest.raises(StorageError, match=f"s3://{bucket}/x: {said}"):
            Address.parse(f"s3://{bucket}/x").check()
    finally:
        hasty.end()


def test_an_address_may_name_its_store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.make("named")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    address = Address.parse(f"s3://named/x?endpoint_override=127.0.0.1:{s3.port}&scheme=http")
    address.check()
    with open_for_writing(address) as folder, begin(folder):
        pass
    assert pd.read_parquet(str(address / "trials.parquet")).trial_id.tolist() == ["t0001"]


def test_credentials_that_are_not_known_are_told(s3: S3) -> None:
    s3.make(bucket := f"only{s3.port}")
    s3.know_nobody()
    with pytest.raises(StorageError, match="the credentials are not accepted; s3:// takes AWS_ACCESS_KEY_ID"):
        Address.parse(f"s3://{bucket}/x").objects()


def test_what_may_only_be_read_is_reported_and_stays_here(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    s3.make(bucket := f"only{s3.port}")
    address = Address.parse(f"s3://{bucket}/x")
    with open_for_writing(address) as folder, begin(folder):
        pass
    s3.forbid(bucket, "s3:PutObject")
    with open_for_reading(address) as folder:
        (folder / "drawn.png").write_bytes(b"x")
    assert "access is denied" in (said := capsys.readouterr().err)
    assert f"what was written is in {folder}" in said


def test_a_large_sweep_is_listed_without_its_checkpoints(address: Address) -> None:
    (address / "checkpoints" / "t0001" / "last" / MANIFEST).write_bytes(b"{}")
    (address / "confirm" / "checkpoints" / "c" / "last" / MANIFEST).write_bytes(b"{}")
    (address / "confirm" / "ledger.jsonl").write_bytes(b"{}\n")
    (address / "sweep.yaml").write_bytes(b"name: s")
    replica = Replica(address)
    replica.fetch()
    found = {path.relative_to(replica.folder).as_posix() for path in replica.folder.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(".")} == {"confirm/ledger.jsonl", "sweep.yaml"}


@pytest.mark.parametrize("kept", ["training", "weights", "best", "nothing"])
def test_at_an_address_an_ended_trial_keeps_what_it_does_in_a_folder(
    address: Address, tmp_path: Path, kept: Any
) -> None:
    trial = TrialConfig.model_validate(TRIAL)
    checkpoints: list[Path | Address] = [tmp_path / "checkpoints", address / "checkpoints"]
    for place in checkpoints:
        list(open_trial(trial, root=tmp_path, device="cpu", checkpoints=place / "t0001").epochs())
        plan = removal(place / "t0001", checkpoint_files(place)["t0001"], kept)
        assert freed_bytes([plan]) > 0
        plan.carry_out()
    left = [set(checkpoint_files(place).get("t0001", {})) for place in checkpoints]
    assert left[0] == left[1]
    assert (f"last/{TRAINING}" in left[1]) == (kept == "training")
    assert BucketCheckpoints(address / "checkpoints" / "t0001").newest() is None or kept == "training"
