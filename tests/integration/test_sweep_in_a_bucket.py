"""Sweeps on a real Ray whose results are in a bucket, and every command that reads them there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from cifar_tune.cli.sweep import main as sweep
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import load
from cifar_tune.results.ledger import events
from cifar_tune.storage.address import Address, place
from cifar_tune.storage.folders import mirrored
from cifar_tune.storage.replica import replica_folder
from tests.integration.stores import S3, running

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 240.0
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Where the driver was killed these end a minute after all others."""

SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 200, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.05}
  batch_size: 32
  epochs: 6
search:
  optimizer.lr: {float: [0.01, 0.2], log: true}
sampler: {name: random}
scheduler: {name: none}
trials_per_study: 4
resources: {cpus: 1}
"""

NUMBERS = ["trial_id", "epoch", "train_loss", "validation_loss", "validation_accuracy", "lr"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running(S3, tmp_path_factory.mktemp("cache")) as server:
        assert isinstance(server, S3)
        yield server


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> Address:
    """A place in a bucket of the test's own."""
    s3.make(name := f"b{abs(hash(request.node.name))}")
    address = place(f"s3://{name}/sweeps/x")
    assert isinstance(address, Address)
    return address


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "cifar_tune", *map(str, words)]


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, env=environment(), timeout=280)


def done(*words: object) -> str:
    """What a command printed that did its work."""
    ended = run(*words)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return ended.stdout


def wait_for(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def ledger_of(folder: Path) -> list[dict[str, Any]]:
    """What a folder's ledger tells so far."""
    return list(events(folder / LEDGER_NAME)) if (folder / LEDGER_NAME).exists() else []


def forget(address: Address) -> None:
    """Makes this another machine, as far as the copies go."""
    shutil.rmtree(replica_folder(address))


@pytest.mark.slow
def test_a_sweep_whose_driver_and_machine_are_lost_is_finished_from_the_bucket(file: Path, bucket: Address) -> None:
    words = ("sweep", file, "--results", bucket, "--set", "trial.epochs=6")
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    try:
        third = {"trial_id": "t0003", "epoch": 1}
        wait_for(
            lambda: any(third.items() <= one.items() for one in ledger_of(replica_folder(bucket))), "no epochs come"
        )
        assert process.poll() is None, "it ended before it was killed"
    finally:
        below = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() not in AGENTS]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_for(lambda: not any(one.is_running() and one.status() != "zombie" for one in below), "processes are left")
    forget(bucket)
    with mirrored(bucket) as replica:
        replica.fetch()
        there = ledger_of(replica.folder)
    known = {(one["trial_id"], one["epoch"]): one["values"] for one in there if one["event"] == "epoch"}
    ended = [one["trial_id"] for one in there if one["event"] == "trial" and one["values"].get("status") == "completed"]
    assert ended
    assert "t0003" in {one.get("trial_id") for one in there}
    forget(bucket)

    assert "--resume finishes an interrupted sweep" in run(*words).stderr
    done(*words, "--resume")

    trials = pd.read_parquet(str(bucket / "trials.parquet")).set_index("trial_id")
    epochs = pd.read_parquet(str(bucket / "epochs.parquet"))
    assert trials.status.tolist() == ["completed"] * 4
    assert trials.attempts[ended].eq(1).all()
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [list(range(1, 7))] * 4
    scored = epochs.set_index(["trial_id", "epoch"]).validation_accuracy
    assert {key: scored[key] for key in known} == {key: one["validation_accuracy"] for key, one in known.items()}
    assert not [name for name in bucket.objects() if ".added-" in name or name.startswith(".")]

    undisturbed = file.parent / "undisturbed"
    done("sweep", file, "--results", undisturbed, "--set", "trial.epochs=6")
    order = ["trial_id", "epoch"]
    expected = pd.read_parquet(undisturbed / "epochs.parquet")[NUMBERS].sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(epochs[NUMBERS].sort_values(order, ignore_index=True), expected)


@pytest.mark.nightly
def test_commands_read_a_bucket_and_what_they_find_goes_there(file: Path, bucket: Address) -> None:
    done("sweep", file, "--results", bucket, "--set", "trials_per_study=2", "--set", "trial.epochs=2")
    forget(bucket)
    assert "Confirmed" in done("confirm", bucket, "--top", "1", "--seeds", "2")
    assert len(pd.read_parquet(str(bucket / "confirmations.parquet"))) == 2
    forget(bucket)
    opened = [one for one in events(load_folder(bucket) / "confirm" / "ledger.jsonl") if one.get("kind") == "opened"]
    assert len(opened) == 2
    assert "2 of 2 are answered from the table" in done("confirm", bucket, "--top", "1", "--seeds", "2")
    assert "Confirmed" in done("report", bucket)
    assert b"<html" in (bucket / "report" / "index.html").read_bytes()
    forget(bucket)
    told = json.loads(done("predict", bucket, "--best", picture(file.parent), "--format", "json"))
    assert len(told) == 1
    assert "accuracy" in done("evaluate", bucket / "t0001")
    assert (bucket / "checkpoints" / "t0001" / "evaluation" / "best-validation" / "index.html").exists()


def load_folder(address: Address) -> Path:
    load(str(address))
    return replica_folder(address)


def picture(folder: Path) -> Path:
    from PIL import Image

    Image.new("L", (8, 8)).save(path := folder / "dark.png")
    return path


@pytest.mark.slow
def test_a_bucket_that_cannot_be_used_is_told_before_any_work(
    file: Path, s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.make("readonly")
    s3.forbid("readonly", "s3:PutObject")
    for bucket, said in (("readonly", "access is denied"), ("nowhere", "there is no such bucket; make it first")):
        assert sweep([str(file), "--results", f"s3://{bucket}/x"]) == 2
        assert f"s3://{bucket}/x: {said}" in capsys.readouterr().err
    s3.make("ours")
    s3.know_nobody()
    try:
        assert sweep([str(file), "--results", "s3://ours/x"]) == 2
    finally:
        s3.ask("POST", "/moto-api/reset-auth", "inf")
    assert "s3://ours/x: the credentials are not accepted" in capsys.readouterr().err
    assert sorted(path.name for path in file.parent.iterdir()) == ["small.yaml"]
