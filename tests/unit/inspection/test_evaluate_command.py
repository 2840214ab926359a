"""`evaluate`: the trial's own figure again, and a test split that is opened once and written down first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from cifar_tune.analysis.confirmation import confirmed
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.cli.evaluate import main
from cifar_tune.errors import DatasetError
from cifar_tune.execution.test_split import Home, evaluating, home_of
from cifar_tune.inspection.predictor import NetworkPredictor
from cifar_tune.inspection.trial_data import check_classes
from cifar_tune.layout import CONFIRMATIONS_NAME
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.columns import TRAIN
from cifar_tune.results.confirmations import OPENED, PLANNED, SCORED, ledger_of, retrainings_store
from cifar_tune.results.ledger import events
from cifar_tune.training.checkpoint import read_checkpoint

FAST = ["--device", "cpu", "--batch-sizes", "1", "4"]


@pytest.fixture
def sweep(checkpoints: Path, tmp_path: Path) -> Path:
    """A results folder of one trial."""
    folder = tmp_path / "s"
    with ResultsStore.create(folder, sweep_name="s") as store:
        store.update_trial("t0001", status="completed", study="all", configuration={"epochs": 2})
        store.add_epoch("t0001", 1, validation_accuracy=0.5)
    shutil.copytree(checkpoints, folder / "checkpoints" / "t0001")
    return folder


def notes(folder: Path) -> list[str]:
    return [event["kind"] for event in events(ledger_of(folder), kind="note")]


def test_validation_gives_the_figure_that_the_trial_reported(
    checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, numbers = tmp_path / "page", tmp_path / "numbers.json"
    words = [str(checkpoints / "last"), "--output", str(output), "--json", str(numbers), "--data", str(tmp_path)]
    assert main([*words, *FAST]) == 0
    told = json.loads(numbers.read_text())
    reported = read_checkpoint(checkpoints / "last").history[-1]
    assert told["summary"]["accuracy"] == pytest.approx(reported.validation_accuracy)
    assert told["summary"]["loss"] == pytest.approx(reported.validation_loss, rel=1e-4)
    assert sum(map(sum, told["confusion"])) == told["images"] == 144
    assert [one["batch_size"] for one in told["speed"]] == [1, 4]
    assert all(one["images_per_second"] == one["batch_size"] / one["latency_seconds"] for one in told["speed"])
    page = (output / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 2 * len(list(output.glob("*.png"))) == 8
    assert "http://" not in page
    assert "https://" not in page
    assert "expected calibration error" in capsys.readouterr().out


@pytest.mark.slow
def test_the_test_split_is_opened_once_and_then_the_table_answers(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(sweep / "t0001"), "--split", "test", *FAST, "--output", str(tmp_path / "page")]
    assert main([*words, "--reason", "final figure"]) == 0
    assert notes(sweep) == [PLANNED, OPENED, SCORED]
    [row] = pd.read_parquet(sweep / CONFIRMATIONS_NAME).to_dict("records")
    assert (row["trial_id"], row["reason"], row["openings"], row["retrained"]) == (
        "t0001", "evaluate: final figure", 1, False,
    )  # fmt: skip
    assert (row["status"], row["trained_on"], row["epochs"]) == ("completed", TRAIN, 2)
    assert row["checkpoint"] == "checkpoints/t0001/best"
    assert 0 < row["test_accuracy"] < 1
    low, high = binomtest(round(row["test_accuracy"] * row["test_images"]), int(row["test_images"])).proportion_ci(
        method="wilson"
    )
    told = capsys.readouterr().out
    assert f"{100 * low:.1f} to {100 * high:.1f}" in told
    assert f"There are {row['test_images']:.0f} test images" in told
    assert row["opened_at"] is not None
    frames = load(sweep)
    assert confirmed(frames.confirmations, frames.trials).empty, "it counts in no mean over fresh seeds"

    capsys.readouterr()
    numbers = tmp_path / "numbers.json"
    assert main([*words, "--json", str(numbers)]) == 0
    told = capsys.readouterr().out
    assert "was opened once for this model" in told
    assert "final figure" in told
    assert f"{100 * row['test_accuracy']:.2f} %" in told
    assert json.loads(numbers.read_text())["summary"]["accuracy"] == row["test_accuracy"]
    assert notes(sweep) == [PLANNED, OPENED, SCORED]

    assert main([*words, "--again", "--reason", "a look at the mistakes"]) == 0
    [row] = pd.read_parquet(sweep / CONFIRMATIONS_NAME).to_dict("records")
    assert (row["openings"], row["reason"]) == (2, "evaluate: final figure; evaluate: a look at the mistakes")

    [section] = [one for one in make_report(sweep, *load(sweep)).sections if one.title.startswith("Looks at the test")]
    assert "opened 2 times in all, 0 by `confirm` and 2 by `evaluate`" in section.text[0]
    assert section.table is not None
    [told] = section.table.rows
    assert told[:4] == ("t0001", "checkpoints/t0001/best", f"{100 * row['test_accuracy']:.2f}", "2")
    assert told[4] == f"{row['opened_at']:%Y-%m-%d %H:%M}"
    assert told[6] == row["reason"]


def test_a_model_that_confirm_scored_is_answered_from_its_row(sweep: Path, checkpoints: Path) -> None:
    shutil.copytree(checkpoints, sweep / "confirm" / "checkpoints" / "t0001-a")
    checkpoint = read_checkpoint(sweep / "confirm" / "checkpoints" / "t0001-a" / "last")
    with retrainings_store(sweep, "s") as store:
        store.note(PLANNED, trial_id="t0001-a", source="t0001", configuration="c", trained_on=TRAIN, reason="place 1")
        store.update_trial("t0001-a", status="running", seed=7)
        for epoch in range(1, len(checkpoint.history) + 1):
            store.add_epoch("t0001-a", epoch, validation_accuracy=0.5)
        store.note(OPENED, trial_id="t0001-a", opened_at="2026-01-02T03:04:05+00:00", commit="abc")
        store.note(SCORED, trial_id="t0001-a", test_accuracy=0.75, test_loss=0.5)
        store.update_trial("t0001-a", status="completed")
    with evaluating(checkpoint) as record:
        assert record.answer is not None
        assert record.answer.summary == {"accuracy": 0.75, "loss": 0.5}
        assert record.answer.reason == "place 1"


def test_the_opening_is_in_the_table_before_the_split_is_opened(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cifar_tune.training.datasets.digits import Digits

    def no_file(*_: object) -> None:
        raise DatasetError("torn away")

    monkeypatch.setattr(Digits, "load", no_file)
    checkpoint = read_checkpoint(sweep / "checkpoints" / "t0001" / "best")
    device = NetworkPredictor(checkpoint, "cpu").device
    with evaluating(checkpoint) as record, pytest.raises(DatasetError, match="torn away"):
        record.open_test_split(tmp_path, device, reason="why", commit="abc")
    [row] = pd.read_parquet(sweep / CONFIRMATIONS_NAME).to_dict("records")
    assert (row["openings"], row["commit"], row["reason"]) == (1, "abc", "why")
    assert row["test_accuracy"] != row["test_accuracy"]


@pytest.mark.parametrize("step", ["update_trial", "add_epoch"])
def test_killed_before_the_row_is_whole_the_next_run_makes_it_so_before_it_opens(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    checkpoint = read_checkpoint(sweep / "checkpoints" / "t0001" / "best")
    device = NetworkPredictor(checkpoint, "cpu").device
    with monkeypatch.context() as patch, evaluating(checkpoint) as record:
        patch.setattr(ResultsStore, step, killed)
        with pytest.raises(KeyboardInterrupt):
            record.open_test_split(tmp_path, device, reason="why", commit="abc")
        patch.undo()
    assert notes(sweep) == [PLANNED]
    with evaluating(checkpoint) as record:
        record.open_test_split(tmp_path, device, reason="why", commit="abc")
    assert notes(sweep) == [PLANNED, OPENED]
    [row] = pd.read_parquet(sweep / CONFIRMATIONS_NAME).to_dict("records")
    assert (row["openings"], row["epochs"]) == (1, len(checkpoint.history))


def test_the_row_of_a_model_of_no_sweep_is_beside_it(checkpoints: Path, sweep: Path) -> None:
    assert home_of(checkpoints / "best").folder == checkpoints.resolve()
    assert home_of(sweep / "checkpoints" / "t0001" / "best").folder == sweep.resolve()
    retrainings_store(sweep, "s").close()
    retraining = home_of(sweep / "confirm" / "checkpoints" / "t0001-a" / "last")
    assert retraining == Home(sweep.resolve(), "t0001-a", retraining="t0001-a")


def test_a_data_set_of_other_classes_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    checkpoint = read_checkpoint(checkpoints / "best")
    fewer = replace(checkpoint.info, class_names=tuple("01"))
    network = NetworkPredictor(checkpoint, "cpu")
    network.info = fewer
    with pytest.raises(DatasetError, match=r"was trained on 2 classes; data set digits below .* has 10"):
        check_classes(network, tmp_path)
    network.info = replace(checkpoint.info, class_names=tuple("0x23456789"))
    with pytest.raises(DatasetError, match=r"10 classes; .* has 10; class 1 was x, and is 1"):
        check_classes(network, tmp_path)


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "is not a checkpoint" in capsys.readouterr().err
