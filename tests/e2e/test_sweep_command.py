"""`python -m cifar_tune.sweep`, as a user runs it: to the end, through Ctrl-C, through a kill, and on."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cifar_tune.cli.sweep import main
from cifar_tune.config.load import load_sweep
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.training.epochs import trial_epochs

REPOSITORY = Path(__file__).parents[2]

SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 200, validation_fraction: 0.25}
  model: {name: mininet, width: 4}
  augmentations: [{name: crop, padding: 1}]
  optimizer: {name: sgd, lr: 0.05}
  batch_size: 32
  epochs: 3
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {float: [0.01, 0.2], log: true}
scheduler: {name: none}
trials_per_study: 2
"""

NUMBERS = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"]
PATIENCE_SECONDS = 240

AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Where the driver was killed these end a minute after all others: so long they try to tell the dead cluster."""


class PressesCtrlC(io.StringIO):
    """A terminal whose user interrupts the command when it says that there is nothing left to train."""

    def write(self, text: str) -> int:
        if "every trial has ended" in text:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return path


def command(file: Path, *arguments: str) -> list[str]:
    results = ["--results", str(file.parent / "results")]
    return [sys.executable, "-m", "cifar_tune.sweep", str(file), *results, *arguments]


ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "CIFAR_TUNE_DATA")}


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(file, *arguments), capture_output=True, text=True, cwd=REPOSITORY, env=ENVIRONMENT, timeout=280
    )


def tables(file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = file.parent / "results"
    trials = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")
    return trials, pd.read_parquet(folder / "epochs.parquet")


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def epochs_so_far(file: Path) -> int:
    ledger = file.parent / "results" / "ledger.jsonl"
    return ledger.read_text().count('"event":"epoch"') if ledger.exists() else 0


def all_below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def assert_every_curve_is_that_of_an_undisturbed_trial(file: Path, *overrides: str) -> None:
    """Trains every trial again, here, from its first epoch to its last."""
    trials, epochs = tables(file)
    sweep = load_sweep(file, overrides)
    with ResultsStore.create(file.parent / "again", sweep_name=sweep.name) as store:
        search = Search(sweep, store)
        for trial_id in trials.index:
            configuration = search.propose()
            assert configuration is not None
            if trials.attempts[trial_id] == 1:
                continue
            curve = pd.DataFrame([vars(metrics) for metrics in trial_epochs(configuration.trial, root=file.parent)])
            recorded = epochs[epochs.trial_id == trial_id].reset_index(drop=True)
            pd.testing.assert_frame_equal(curve[["epoch", *NUMBERS]], recorded[["epoch", *NUMBERS]], check_exact=True)


def test_a_sweep_runs_to_its_end_and_only_we_say_something(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    done = run(file)
    assert done.returncode == 0
    assert done.stderr == ""
    progress = [line for line in done.stdout.splitlines() if re.match(r"\[\d+:\d\d\] ", line)]
    assert progress[0].startswith("[0:")
    assert progress[0].endswith("There are 50 validation images, so one image is worth 2.0 points.")
    assert "/4 trials" in progress[1]
    for noise in ("ray", "Ray", "WARNING", "Deprecat", "Token", "raylet", "\x1b"):
        assert noise not in done.stdout.replace(str(file.parent), "")
    assert "small: 4 trials: 4 completed" in done.stdout

    trials, epochs = tables(file)
    assert trials.status.tolist() == ["completed"] * 4
    assert trials.study.tolist() == ["model.activation=relu", "model.activation=mish"] * 2
    assert trials.baseline.tolist() == [True, True, False, False]
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [[1, 2, 3]] * 4
    folder = file.parent / "results"
    assert load_sweep(folder / "sweep.yaml") == load_sweep(file)
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["command"].startswith("python -m cifar_tune.sweep ")
    assert environment["packages"]["torch"]
    assert {path.name for path in folder.iterdir()} == {
        *(".lock", "checkpoints", "environment.json", "ledger.jsonl", "optuna.journal", "sweep.yaml"),
        *("epochs.parquet", "trials.parquet", "data.json"),
    }
    assert (folder / trials.checkpoint["t0001"] / "last").is_dir()

    again = [str(file), "--results", str(folder)]
    assert main(again) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*again, "--resume"]) == 0
    assert "every trial has ended already" in capsys.readouterr().out
    with redirect_stdout(PressesCtrlC()):
        assert main([*again, "--resume"]) == 0
    assert "interrupted" not in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_saves_and_resume_finishes_as_if_nothing_had_happened(file: Path) -> None:
    overrides = ("--set", "trial.epochs=30", "--set", "trials_per_study=1")
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        command(file, *overrides),
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        cwd=REPOSITORY,
        env={**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(other_end)
    screen = b""
    interrupted = False
    below: list[psutil.Process] = []
    while True:
        try:
            screen += os.read(terminal, 65536)
        except OSError:
            break
        if not interrupted and epochs_so_far(file) >= 6:
            below = all_below(process)
            os.write(terminal, b"\x03")
            interrupted = True
    assert process.wait(timeout=60) == 130
    wait_for(lambda: not alive(below), "processes are left")
    text = screen.decode()
    assert text.count("Ctrl-C stops and saves") >= 2
    assert "0 of 2 trials" in text
    assert re.search(r"t0001\s+\d+/30", text)
    assert "interrupted; every finished epoch is saved. To go on:" in text
    assert f"python -m cifar_tune.sweep {file}" in text.replace("\r\n", "")
    for noise in ("Token authentication", "WARNING", "raylet", "Traceback"):
        assert noise not in text

    trials, before = tables(file)
    assert "interrupted" in trials.status.tolist()
    assert set(trials.status) <= {"interrupted", "completed"}
    assert len(before) >= 6

    done = run(file, *overrides, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    trials, epochs = tables(file)
    assert trials.status.tolist() == ["completed"] * 2
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [list(range(1, 31))] * 2
    pd.testing.assert_frame_equal(epochs.merge(before[["trial_id", "epoch"]])[before.columns], before)
    assert trials.attempts.max() == 2
    assert_every_curve_is_that_of_an_undisturbed_trial(file, "trial.epochs=30", "trials_per_study=1")


def kill_driver(file: Path, *arguments: str, after: int) -> None:
    """Runs the sweep until its ledger has so many epochs, and kills the driver; returns when its workers are gone."""
    process = subprocess.Popen(
        command(file, *arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    wait_for(lambda: epochs_so_far(file) >= after, "no epochs come")
    below = [one for one in all_below(process) if one.name() not in AGENTS]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not alive(below), "processes are left")


@pytest.mark.slow
def test_a_killed_driver_takes_its_workers_along_and_resume_loses_and_doubles_nothing(file: Path) -> None:
    overrides = ("--set", "trial.epochs=20")
    kill_driver(file, *overrides, after=45)
    known = epochs_so_far(file)

    done = run(file, *overrides, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    trials, epochs = tables(file)
    assert trials.status.tolist() == ["completed"] * 4
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [list(range(1, 21))] * 4
    assert known >= 45
    untouched = trials[trials.attempts == 1]
    assert len(untouched) >= 1
    environment = json.loads((file.parent / "results" / "environment.json").read_text())
    assert "--resume" in environment["continued"][0]["command"]


@pytest.mark.slow
def test_a_finished_sweep_is_extended_and_its_trials_stay(file: Path) -> None:
    assert run(file).returncode == 0
    before, _ = tables(file)
    done = run(file, "--set", "trials_per_study=3", "--extend")
    assert (done.returncode, done.stderr) == (0, "")
    trials, _ = tables(file)
    assert trials.status.tolist() == ["completed"] * 6
    pd.testing.assert_frame_equal(trials.loc[before.index, before.columns], before)


@pytest.mark.slow
def test_completed_trials_train_on_from_their_checkpoints_when_epochs_are_added(file: Path) -> None:
    constant = ("--set", "trial.schedule={name: constant}", "--set", "trials_per_study=1")
    assert run(file, *constant).returncode == 0
    _, before = tables(file)
    done = run(file, *constant, "--set", "trial.epochs=5", "--extend")
    assert (done.returncode, done.stderr) == (0, "")
    trials, epochs = tables(file)
    assert trials.status.tolist() == ["completed"] * 2
    assert trials["trial.epochs"].tolist() == [5, 5]
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [[1, 2, 3, 4, 5]] * 2
    pd.testing.assert_frame_equal(epochs.merge(before[["trial_id", "epoch"]])[before.columns], before)
    schedule, once = "trial.schedule={name: constant}", "trials_per_study=1"
    assert_every_curve_is_that_of_an_undisturbed_trial(file, schedule, once, "trial.epochs=5")


@pytest.mark.nightly
def test_an_extended_sweep_outlives_its_driver_and_a_flipped_bit_in_its_checkpoints(file: Path) -> None:
    constant = ("--set", "trial.schedule={name: constant}", "--set", "trials_per_study=1")
    assert run(file, *constant).returncode == 0
    longer = (*constant, "--set", "trial.epochs=20")
    kill_driver(file, *longer, "--extend", after=2 * 3 + 6)
    _, before = tables(file)
    flipped = sorted(file.parent.glob("results/checkpoints/*/last/model.safetensors"))
    for weights in flipped:
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)

    done = run(file, *longer, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    trials, epochs = tables(file)
    assert trials.status.tolist() == ["completed"] * 2
    assert epochs.groupby("trial_id").epoch.apply(list).tolist() == [list(range(1, 21))] * 2
    pd.testing.assert_frame_equal(epochs.merge(before[["trial_id", "epoch"]])[before.columns], before)
    told = [f"{one.parent.relative_to(file.parent / 'results')}.corrupt: was corrupt;" for one in flipped]
    assert all(line in done.stdout for line in told)
    assert_every_curve_is_that_of_an_undisturbed_trial(file, *(word for word in longer if word != "--set"))


@pytest.mark.nightly
def test_a_sweep_whose_hours_are_over_saves_its_trials_and_goes_on_with_more(file: Path) -> None:
    endless = ("--set", "trial.epochs=100000", "--set", "trials_per_study=1")
    done = run(file, *endless, "--set", "stop.hours=0.01")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ended by stop.hours: 0.01" in done.stdout
    before, _ = tables(file)
    assert before.status.tolist() == ["interrupted"] * 2
    assert before.status_reason.str.startswith("stop.hours: 0.01").all()
    environment = file.parent / "results" / "environment.json"
    assert json.loads(environment.read_text())["ended_by"].startswith("stop.hours")
    again = run(file, *endless, "--set", "stop.hours=0.01", "--resume")
    assert again.returncode == 0
    assert "ended by stop.hours" in again.stdout
    assert tables(file)[0].epochs_trained.tolist() == before.epochs_trained.tolist()
    further = subprocess.Popen(
        command(file, *endless, "--set", "stop.hours=1", "--resume"), cwd=REPOSITORY, env=ENVIRONMENT
    )
    wait_for(lambda: epochs_so_far(file) > before.epochs_trained.sum(), "no epochs come")
    further.send_signal(signal.SIGINT)
    assert further.wait(timeout=60) == 130
    trials, epochs = tables(file)
    trained = [list(range(1, count + 1)) for count in trials.epochs_trained]
    assert epochs.groupby("trial_id").epoch.apply(list).loc[trials.index].tolist() == trained
    assert "ended_by" not in json.loads(environment.read_text())
    ended = run(file, "--fresh", "--set", "stop.trials=3")
    assert ended.returncode == 0
    assert "ended by stop.trials: 3 trials were started" in ended.stdout
    assert len(tables(file)[0]) == 3


@pytest.mark.slow
def test_a_sweep_without_a_usable_trial_exits_with_1(file: Path) -> None:
    done = run(file, "--set", "trial.optimizer.lr=1.0e+30", "--set", "search={}", "--set", "trials_per_study=1")
    assert done.returncode == 1
    trials, _ = tables(file)
    assert trials.status.tolist() == ["diverged"] * 2


@pytest.mark.slow
def test_sigterm_is_as_good_as_ctrl_c(file: Path) -> None:
    process = subprocess.Popen(
        command(file, "--set", "trial.epochs=400"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=REPOSITORY
    )
    wait_for(lambda: epochs_so_far(file) >= 5, "no epochs come")
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"--resume" in said
    assert set(tables(file)[0].status) == {"interrupted"}


CLUSTER = """
import ray, sys
context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_sweep_runs_on_a_cluster_that_is_there_and_leaves_it_running(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with cluster, monkeypatch.context() as environment:
        environment.setitem(ENVIRONMENT, "RAY_AUTH_MODE", "token")
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        done = run(file, "--address", address, "--set", "trials_per_study=1")
        assert (done.returncode, done.stderr) == (0, "")
        assert tables(file)[0].status.tolist() == ["completed"] * 2
        host, port = address.split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
