"""`python -m cifar_tune.confirm`, as a user runs it: what it refuses, and through a kill to the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

from cifar_tune.cli.confirm import main
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.confirmations import OPENED, ledger_of
from cifar_tune.results.ledger import events
from cifar_tune.training.checkpoint import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "CIFAR_TUNE_DATA")}
PATIENCE_SECONDS = 240

SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 300, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.05}
  batch_size: 32
  epochs: 4
search:
  optimizer.lr: {float: [0.01, 0.2], log: true}
scheduler: {name: none}
trials_per_study: 3
"""


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", *map(str, words)]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, "COLUMNS": "100"}
    return subprocess.run(command(*words), capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=280)


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """A sweep of which one trial was stopped and one diverged."""
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        for trial_id, status in (("t0001", "stopped"), ("t0002", "diverged")):
            store.update_trial(trial_id, status=status, study="all", configuration={"epochs": 2})
            store.add_epoch(trial_id, 1, validation_accuracy=0.5)
    (tmp_path / "s" / "sweep.yaml").write_text(SWEEP)
    return tmp_path / "s"


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said on stderr with status 2; nothing was written."""
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = int(str(exit_.code))
    assert status == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text


def test_a_sweep_without_a_completed_trial_has_nothing_to_confirm(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told([str(unfinished)], capsys)
    assert "no trial has completed, so there is nothing to confirm (2 trials: 1 stopped, 1 diverged)" in text
    assert not ledger_of(unfinished).exists()


def test_a_folder_that_is_no_sweep_or_lacks_its_file_is_told(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no such folder" in told([str(tmp_path / "none")], capsys)
    assert "it holds the sweeps s: name one of them" in told([str(tmp_path)], capsys)
    (unfinished / "sweep.yaml").unlink()
    assert "there is no sweep.yaml, which says what its trials were" in told([str(unfinished)], capsys)


def test_a_sweep_that_is_running_is_not_confirmed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s"):
        (tmp_path / "s" / "sweep.yaml").write_text(SWEEP)
        assert f"its sweep is running (process {os.getpid()}" in told([str(tmp_path / "s")], capsys)


@pytest.mark.parametrize("option", ["--top", "--seeds"])
@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_a_count_below_1_is_refused(option: str, count: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(["results/x", f"{option}={count}"], capsys)
    assert f"argument {option}: must be a whole number of at least 1, got '{count}'" in text


def scored_again(folder: Path, checkpoint: str) -> float:
    """The share of right answers on the test split, of the checkpoint by itself."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(digits.images[1437:] / 16, dtype=torch.float32)[:, None]
    model = read_checkpoint(folder / checkpoint / "last").model(torch.device("cpu"))
    with torch.inference_mode():
        answers = model((images - 0.3054) / 0.3753).argmax(1)
    return int((answers == torch.tensor(digits.target[1437:])).sum()) / len(images)


def wait_for_score(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Returns when the first score is in the ledger."""
    ledger = ledger_of(folder)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (ledger.exists() and '"kind":"scored"' in ledger.read_text()):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline, "no score comes"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_confirm_goes_on_with_what_is_left_and_opens_the_test_split_once_for_each(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SWEEP)
    folder = tmp_path / "results"
    assert run("cifar_tune.sweep", tmp_path / "small.yaml", "--results", folder).returncode == 0
    confirm = ("cifar_tune.confirm", folder, "--top", "2", "--seeds", "2")

    process = subprocess.Popen(
        command(*confirm), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPOSITORY, env=ENVIRONMENT
    )
    wait_for_score(folder, process)
    below = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(below, timeout=60)
    known = {event["payload"]["trial_id"] for event in events(ledger_of(folder)) if event.get("kind") == "scored"}
    before = pd.read_parquet(folder / "confirmations.parquet")
    assert 1 <= len(before) <= 4

    done = run(*confirm)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(known)} of 4 are answered from the table" in done.stdout
    rows = load(folder).confirmations
    assert len(rows) == 4
    assert not rows.duplicated(["configuration", "seed", "trained_on"]).any()
    assert rows["status"].astype(str).tolist() == ["completed"] * 4
    assert rows["seed"].tolist() == [1_000_000, 1_000_000, 1_000_001, 1_000_001]
    assert rows["trained_on"].astype(str).unique().tolist() == ["train"]
    opened = [event["payload"]["trial_id"] for event in events(ledger_of(folder)) if event.get("kind") == OPENED]
    assert rows["openings"].sum() == len(opened)
    assert {opened.count(trial_id) for trial_id in known} == {1}, "what had a score was opened again"
    for row in rows.itertuples():
        assert row.test_accuracy == pytest.approx(scored_again(folder, row.checkpoint), abs=0.01)
        assert row.reason.startswith("confirm: place ")
    for text in ("Confirmed: lr=", "Winner's curse", "One row a configuration and seed"):
        assert text in done.stdout

    again = run(*confirm)
    assert again.returncode == 0
    assert "4 of 4 are answered from the table" in again.stdout
    pd.testing.assert_frame_equal(load(folder).confirmations, rows)

    everything = run("cifar_tune.confirm", folder, "--top", "1", "--seeds", "1", "--validation", "train")
    assert (everything.returncode, everything.stderr) == (0, "")
    last = load(folder).confirmations.iloc[-1]
    assert (last["trained_on"], last["status"]) == ("train+validation", "completed")
    assert pd.isna(last["validation_accuracy"])
    assert 0 <= last["test_accuracy"] <= 1
    assert "with one fresh seed, so no interval" not in everything.stdout
    report = run("cifar_tune.report", folder)
    assert report.returncode == 0
    page = (folder / "report" / "index.html").read_text()
    assert page.index("Confirmed: lr=") < page.index("Confirmed with fresh seeds") < page.index("Best trials")
