"""`python -m cifar_tune.train` as its user meets it; in this process where that makes no difference."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cifar_tune.cli.train import main
from cifar_tune.training.clone_checkpoint import clone_checkpoint
from cifar_tune.training.manifest import sealed

COMMAND = [sys.executable, "-m", "cifar_tune.train"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

TRIAL = """
dataset: {name: digits, train_size: 200, validation_fraction: 0.2}
model: {name: resnet18, width: 2}
optimizer: {name: sgd, lr: 0.05}
batch_size: 40
epochs: 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a trial file in it."""
    (tmp_path / "small.yaml").write_text(TRIAL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def losses(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row["train_loss"] for row in csv.DictReader(file)]


def test_help_comes_at_once() -> None:
    began = time.monotonic()
    done = subprocess.run([*COMMAND, "--help"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert "--resume" in done.stdout
    assert time.monotonic() - began < 5, "about 0.2 s on an idle machine"


def test_a_trial_is_trained_taken_further_and_reproduced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["small.yaml", "--csv", "first.csv", "--tensorboard", "board"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "40 validation images" in lines[1]
    assert lines[2].startswith("epoch 1/2  train loss")
    assert lines[-1].endswith("results/trials/small/best")
    assert list((folder / "board").iterdir())

    assert main(["small.yaml"]) == 2
    assert capsys.readouterr().err == (
        "results/trials/small already holds a trial; --resume goes on with it, --output DIR starts another elsewhere\n"
    )

    further = ["small.yaml", "--set", "epochs=3", "--resume", "--csv", "further.csv", "--tensorboard", "board"]
    assert main(further) == 0
    sizes = [path.stat().st_size for path in sorted((folder / "board").iterdir())]
    assert sizes[1] < sizes[0], "one epoch, and not those before once more"
    assert "goes on after epoch 2" in capsys.readouterr().out
    assert losses(folder / "further.csv")[:2] == losses(folder / "first.csv")

    (folder / "results" / "sweep" / "checkpoints").mkdir(parents=True)
    (folder / "results" / "trials" / "small").rename(folder / "results" / "sweep" / "checkpoints" / "00007")
    capsys.readouterr()
    assert main(["results/sweep/00007", "--csv", "again.csv", "--set", "epochs=2"]) == 0
    assert "fresh weights" not in capsys.readouterr().out
    assert (
        main(["results/sweep/checkpoints/00007/best", "--csv", "once.csv", "--set", "epochs=1", "--output", "o"]) == 0
    )
    assert losses(folder / "again.csv") == losses(folder / "first.csv")


def test_a_trial_is_trained_again_on_as_many_threads_and_what_else_differs_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert main(["small.yaml", "--csv", "first.csv"]) == 0
        torch.set_num_threads(2)
        capsys.readouterr()
        assert main(["results/trials/small", "--csv", "again.csv", "--output", "again"]) == 0
        assert torch.get_num_threads() == 1
        assert "bit for bit" not in capsys.readouterr().out
        assert losses(folder / "again.csv") == losses(folder / "first.csv")

        for manifest in (folder / "results" / "trials" / "small").glob("*/manifest.json"):
            told = json.loads(manifest.read_text())
            del told["checksum"]
            told["environments"][0]["cpu_model"] = "Another CPU"
            manifest.write_bytes(sealed(told))
        assert main(["results/trials/small", "--output", "elsewhere"]) == 0
        assert "Another CPU then, " in capsys.readouterr().out
        assert main(["small.yaml", "--set", "epochs=3", "--resume"]) == 0
        assert "Another CPU then, " in capsys.readouterr().out
    finally:
        torch.set_num_threads(before)


def test_a_trial_that_began_from_another_is_trained_from_the_first_epoch_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["small.yaml", "--set", "epochs=1", "--output", "results/sweep/checkpoints/t0002"]) == 0
    checkpoints = folder / "results" / "sweep" / "checkpoints"
    clone_checkpoint(checkpoints / "t0009", checkpoints / "t0002", 1)
    capsys.readouterr()
    assert main(["results/sweep/t0009", "--set", "epochs=1"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        "it began from the checkpoint of t0002 after epoch 1; here it begins with fresh weights, so that its curve is "
        "another"
    )


@pytest.mark.slow
def test_interrupted_it_saves_and_says_how_to_go_on(folder: Path) -> None:
    words = ["small.yaml", "--set", "epochs=100000", "--output", "left off"]
    with subprocess.Popen([*COMMAND, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch      3/"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        ending = process.stdout.read()
    assert process.returncode == 130
    assert "of 100000 are saved in left off. Go on with:" in ending
    assert ending.endswith(
        "\n  python -m cifar_tune.train small.yaml --set epochs=100000 --output 'left off' --resume\n"
    )
    assert (folder / "left off" / "last" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["small.yaml", "--resume"], "results/trials/small holds no checkpoint to resume from; leave out --resume"),
        (["small.yaml", "--set", "batch_size=500"], "--set trial.batch_size=500: batch_size: a batch of 500 images is"),
        (["small.yaml", "--set", "loss.name=hierarchical"], "loss: loss hierarchical needs a data set with super"),
        (["small.yaml", "--output", "small.yaml/x"], "small.yaml/x: Not a directory"),
        (["small.yaml", "--set", "model.widht=3"], "did you mean `width`?"),
        (["nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["small.yaml", "--device", "cuda:77"], "device cuda:77 is not there; this machine has cpu"),
    ],
    ids=["nothing to resume", "batch", "loss", "output", "key", "file", "device"],
)
def test_wrong_input_is_a_message_and_status_2(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "results").exists()


@pytest.mark.usefixtures("folder")
def test_a_loss_that_is_not_finite_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["small.yaml", "--set", "optimizer.lr=1e30"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("diverged: training loss is not finite in epoch 1, at step")
