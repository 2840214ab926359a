"""Every command on a small sweep of a real Ray in a bucket, each from a machine that has no copy of it yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.cli.evaluate import main as evaluate
from cifar_tune.cli.export import main as export
from cifar_tune.cli.inspect import main as inspect
from cifar_tune.cli.report import main as report
from cifar_tune.cli.results_place import open_for_reading, open_for_writing
from cifar_tune.cli.sweep import main as sweep
from cifar_tune.cli.track import main as track
from cifar_tune.cli.train import main as train
from cifar_tune.config.load import load_sweep
from cifar_tune.dashboard.live import LiveSweep
from cifar_tune.dashboard.views import state
from cifar_tune.errors import ResultsError, StorageError
from cifar_tune.execution.results_folder import results_of
from cifar_tune.results import ResultsStore, load
from cifar_tune.storage.address import Address
from cifar_tune.storage.copies import copy_here
from tests.integration.stores import S3, Google, running

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 200, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.05}
  batch_size: 50
  epochs: 2
search:
  optimizer.lr: {float: [0.01, 0.2], log: true}
sampler: {name: random}
scheduler: {name: none}
trials_per_study: 1
resources: {cpus: 1}
"""
A = "s3://bucket/sweeps/x"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "small.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(scope="module", autouse=True)
def ran(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The sweep is at its address."""
    with running(S3, tmp_path_factory.mktemp("cache")) as server:
        server.make("bucket")
        sweep_by_command(file)
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This is another machine, as far as the copies go; returns where it has them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sweep_by_command(file: Path, *words: str) -> str:
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "cifar_tune.sweep", str(file), "--results", A, *words]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=280)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return ended.stdout


def objects(place: str) -> set[str]:
    return set(Address.parse(place).objects())


def test_a_trial_is_exported(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    assert export([A, "--best", "--output", "exported"]) == 0
    assert str(elsewhere) not in Path("exported", "README.md").read_text()
    assert "read back bit for bit" in capsys.readouterr().out
    assert export([f"{A}/t0009"]) == 2
    assert capsys.readouterr().err == f"{A}/t0009 is not a checkpoint, a trial with one or an exported model\n"


def test_what_inspect_draws_is_named_and_lies_at_the_address(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    assert inspect([f"{A}/t0001", "--show", "filters", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert f"Written: {A}/checkpoints/t0001/inspection/best/index.html" in told
    assert str(elsewhere) not in told
    page = Address.parse(f"{A}/checkpoints/t0001/inspection/best/index.html").read_bytes().decode()
    assert f"Inside {A}/checkpoints/t0001/best" in page
    assert str(elsewhere) not in page


def test_the_test_split_is_opened_once_for_all_machines(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"{A}/t0001", "--split", "test", "--device", "cpu", "--batch-sizes", "1"]
    assert evaluate(words) == 0
    told = capsys.readouterr().out
    assert f"The opening is written down in {A}/confirmations.parquet" in told
    assert str(elsewhere) not in told
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "third"))
    assert evaluate(words) == 0
    assert "The test split was opened once for this model" in capsys.readouterr().out
    (row,) = load(A).confirmations.itertuples()
    assert (row.trial_id, row.reason) == ("t0001", f"evaluate: {A}/checkpoints/t0001/best")


def test_a_report_compares_explains_and_goes_to_the_address(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    assert report([A, "--compare", A]) == 0
    told = capsys.readouterr().out
    assert f"Written: {A}/report/index.html" in told
    assert str(elsewhere) not in told
    assert {"report/index.html", "report/report.md"} <= objects(A)
    assert report([A, "--why", "t0001"]) == 0
    assert "t0001 completed" in capsys.readouterr().out
    assert report([f"{A}/nothing"]) == 2
    assert capsys.readouterr().err.startswith(f"{A}/nothing: is not a results folder")


def test_a_tracker_gets_from_two_machines_what_is_new(
    capsys: pytest.CaptureFixture[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert track([A, "--to", "tensorboard"]) == 0
    assert f"{A} to tensorboard, {A}/tensorboard\n1 trials, 2 new epochs" in capsys.readouterr().out
    assert any(name.startswith("tensorboard/") for name in objects(A))
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "third"))
    assert track([A, "--to", "tensorboard"]) == 0
    assert "nothing new" in capsys.readouterr().out


def test_the_dashboard_names_the_address() -> None:
    with open_for_reading(Address.parse(A), following=True) as folder:
        assert state(LiveSweep(folder).snapshot())["folder"] == A


def test_earlier_sweeps_and_weights_may_lie_at_addresses(
    file: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    best = f"{A}/checkpoints/t0001/best"
    words = [str(file), "--plan", "--set", f"warm_start=[{A}]", "--set", f"trial.initial_weights={best}"]
    assert sweep(words) == 0
    assert f"{A}: 1 of 1 trials taken" in capsys.readouterr().out
    teacher = f"loss={{name: distillation, teacher: '{best}'}}"
    assert train([str(file), "--device", "cpu", "--set", f"initial_weights={best}", "--set", teacher]) == 0
    told = capsys.readouterr().out
    assert f"initial weights from {best}/model.safetensors" in told
    assert str(elsewhere) not in told


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("warm_start", "[s3://bucket/none]", "warm_start.0: s3://bucket/none: is not a results folder of a sweep"),
        ("warm_start", "[s3://none/x]", "warm_start.0: s3://none/x: is not a results folder of a sweep"),
        ("warm_start", "[ftp://x/y]", "warm_start.0: ftp://x/y: must be s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"),
        ("trial.initial_weights", "s3://bucket/none", "trial.initial_weights: s3://bucket/none is not there"),
        ("trial.initial_weights", "ftp://x/y", "trial.initial_weights: ftp://x/y: must be s3://BUCKET/FOLDER"),
        (
            "trial.loss",
            "{name: distillation, teacher: 's3://bucket/none'}",
            "trial.loss: loss distillation: s3://bucket/none is not a checkpoint: it has no manifest.json",
        ),
    ],
)
def test_an_address_without_what_is_looked_for_is_told_before_any_work(
    key: str, value: str, said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep([str(file), "--set", f"{key}={value}"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("results").exists()


@pytest.mark.parametrize("kind", [S3, Google], ids=["s3", "gs"])
def test_a_fresh_sweep_moves_the_one_in_the_bucket_aside_and_a_refused_one_brings_it_back(
    kind: type[S3] | type[Google], file: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    checkpoint = "checkpoints/t0001/last/manifest.json"
    with running(kind, tmp_path / "other") as server:
        server.make(bucket := f"b{server.port}")
        address = Address.parse(f"s3://{bucket}/x" if kind is S3 else f"gs://anonymous@{bucket}/x")
        with open_for_writing(address) as folder, ResultsStore.create(folder, sweep_name="old") as store:
            store.update_trial("t0001", status="completed")
        (address / checkpoint).write_bytes(b"{}")
        before = {name: (address / name).read_bytes() for name in address.objects()}
        shutil.rmtree(tmp_path / "other")

        with (
            open_for_writing(address) as folder,
            pytest.raises(ResultsError, match="refused"),
            results_of(folder, load_sweep(file), "fresh", told.append),
        ):
            raise ResultsError("refused")
        assert {name: (address / name).read_bytes() for name in address.objects()} == before

        with open_for_writing(address) as folder, results_of(folder, load_sweep(file), "fresh", told.append) as store:
            store.update_trial("t0001", status="running")
        assert checkpoint not in address.objects()
        assert load(str(address)).trials["sweep"].tolist() == ["small"]
        aside = Address.parse(told[-1].rpartition(" ")[2])
        assert told[-1] == f"moved the sweep that was there to {aside}"
        assert {name: (aside / name).read_bytes() for name in aside.objects()} == before
        assert load(str(aside)).trials["sweep"].tolist() == ["old"]


def test_a_sweep_that_may_not_be_written_beside_is_left_as_it_is(file: Path, tmp_path: Path) -> None:
    with running(S3, tmp_path / "other") as server:
        assert isinstance(server, S3)
        server.make(bucket := f"b{server.port}")
        address = Address.parse(f"s3://{bucket}/x")
        with open_for_writing(address) as folder, ResultsStore.create(folder, sweep_name="old"):
            pass
        before = {name: (address / name).read_bytes() for name in address.objects()}
        server.forbid(bucket, "s3:PutObject", "x.20*")
        with (
            open_for_writing(address) as folder,
            pytest.raises(StorageError, match=r"cannot be moved to s3://b\d+/x\.20.* and is as it was"),
            results_of(folder, load_sweep(file), "fresh", lambda _: None),
        ):
            pytest.fail("it was let in")
        assert {name: (address / name).read_bytes() for name in address.objects()} == before


@pytest.mark.parametrize("kind", [S3, Google], ids=["s3", "gs"])
def test_what_is_copied_here_is_what_is_there_and_comes_once(kind: type[S3] | type[Google], tmp_path: Path) -> None:
    with running(kind, tmp_path / "other") as server:
        server.make(bucket := f"b{server.port}")
        folder = f"s3://{bucket}/best" if kind is S3 else f"gs://anonymous@{bucket}/best"
        address = Address.parse(folder)
        for name in ("model.safetensors", "trial.json", "below/more"):
            (address / name).write_bytes(name.encode())
        here = copy_here(folder)
        assert {path.name: path.read_text() for path in here.iterdir()} == {
            name: name for name in ("model.safetensors", "trial.json")
        }
        assert copy_here(f"{folder}/trial.json").read_text() == "trial.json"
        first = (here / "trial.json").stat().st_ino
        (address / "model.safetensors").unlink()
        assert [path.name for path in copy_here(folder).iterdir()] == ["trial.json"]
        assert (here / "trial.json").stat().st_ino == first


def test_a_sweep_is_extended(file: Path) -> None:
    assert "2 trials: 2 completed" in sweep_by_command(file, "--extend", "--set", "trials_per_study=2")
    assert pd.read_parquet(f"{A}/trials.parquet").status.tolist() == ["completed", "completed"]
    assert "checkpoints/t0002/best/model.safetensors" in objects(A)


def test_a_sweep_is_begun_afresh(file: Path) -> None:
    before = pd.read_parquet(f"{A}/trials.parquet")
    told = sweep_by_command(file, "--fresh", "--set", "trial.epochs=1")
    aside = next(line for line in told.splitlines() if line.startswith("moved")).rpartition(" ")[2]
    assert aside.startswith(f"{A}.")
    pd.testing.assert_frame_equal(pd.read_parquet(f"{aside}/trials.parquet"), before)
    assert "checkpoints/t0001/best/model.safetensors" in objects(aside)
    assert len(pd.read_parquet(f"{A}/epochs.parquet")) == 1
