"""`python -m cifar_tune.simulate`, as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cifar_tune.cli.simulate import main


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lrs = np.geomspace(1e-3, 1, 30)
    runs = [
        pd.DataFrame(
            {
                "run_id": run,
                "hp_lr": lr,
                "max_epochs": 9,
                "status": "ok",
                "epoch": range(1, 10),
                "val_acc": [(1 - abs(np.log10(lr) + 1) / 3) * (1 - 0.5 / epoch) for epoch in range(1, 10)],
            }
        )
        for run, lr in enumerate(lrs)
    ]
    path = tmp_path / "curves.parquet"
    pd.concat(runs).to_parquet(path)
    return path


def test_a_table_gives_a_regret_curve_in_terminal_and_json(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--workers", "2", "--repetitions", "3", "--budget-trials", "4", "--json", str(tmp_path / "r.json")]
    assert main([str(table), *arguments]) == 0
    shown = capsys.readouterr().out
    assert "curves: 30 runs of up to 9 epochs; lr 0.001 to 1 log" in shown
    assert "grace_epochs 1, reduction_factor 3); 2 workers, 3 repetitions" in shown
    found = json.loads((tmp_path / "r.json").read_text())
    assert (found["repetitions"], found["workers"], found["budget_seconds"]) == (3, 2, 18.0)
    assert found["curve"][-1]["seconds"] == 18.0
    assert all(one["regret_low"] <= one["regret_iqm"] <= one["regret_high"] for one in found["curve"])
    assert found["curve"][-1]["regret_iqm"] < found["curve"][0]["regret_iqm"]


def test_sampler_and_scheduler_come_from_the_sweep_file_or_by_name(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "x.yaml"
    sweep.write_text(
        "name: x\n"
        "trial: {dataset: {name: digits}, model: {name: mininet}, optimizer: {name: sgd, lr: 0.1}, epochs: 9}\n"
        "search: {optimizer.lr: {float: [0.01, 1.0]}}\n"
        "sampler: {name: random}\nscheduler: {name: asha, grace_epochs: 2, reduction_factor: 2}\n"
    )
    few = ["--repetitions", "1", "--budget-trials", "2"]
    assert main([str(table), "--sweep", str(sweep), *few]) == 0
    shown = capsys.readouterr().out
    assert "random; asha (" in shown
    assert "grace_epochs 2, reduction_factor 2, brackets 1)" in shown
    assert main([str(table), "--sweep", str(sweep), "--sampler", "tpe", "--scheduler", "none", *few]) == 0
    assert re.search(r"^tpe \(n_startup_trials 10,.*\); none", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampler", "tpi"], "--sampler: there is no `tpi`; allowed are tpe, random"),
        (["--scheduler", "ahsa"], "--scheduler: there is no `ahsa`; allowed are asha"),
        (["--json", "/nowhere/r.json", "--repetitions", "1"], "/nowhere/r.json: could not be written"),
    ],
)
def test_wrong_input_gets_a_message_and_status_2(
    table: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(table), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_population_based_training_is_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = "pbt changes trials while they train, and recorded curves stay as they are; allowed are asha, asha_promotion"
    assert main([str(table), "--scheduler", "pbt"]) == 2
    assert capsys.readouterr().err.startswith(f"--scheduler: {told}")
    sweep = tmp_path / "x.yaml"
    sweep.write_text(
        "name: x\n"
        "trial: {dataset: {name: digits}, model: {name: mininet}, optimizer: {name: sgd, lr: 0.1}, epochs: 9}\n"
        "search: {optimizer.lr: {float: [0.01, 1.0]}}\nscheduler: {name: pbt}\n"
    )
    assert main([str(table), "--sweep", str(sweep)]) == 2
    assert capsys.readouterr().err.startswith(f"{sweep}: scheduler.name: {told}")
    assert main([str(table), "--sweep", str(sweep), "--scheduler", "none", "--repetitions", "1"]) == 0


def test_a_sweep_with_several_objectives_is_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "s.yaml"
    sweep.write_text(
        "name: s\n"
        "trial: {dataset: {name: digits}, model: {name: mininet}, optimizer: {name: sgd, lr: 0.1}, epochs: 9}\n"
        "objective: [{metric: validation_accuracy}, {metric: num_parameters}]\n"
    )
    assert main([str(table), "--sweep", str(sweep)]) == 2
    assert capsys.readouterr().err.strip() == (
        f"{sweep}: objective: a simulation goes by one objective, this sweep by 2; name one of them"
    )


def test_a_missing_table_gets_a_message_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere.parquet"]) == 2
    assert "nowhere.parquet: neither a results folder nor a table of recorded runs" in capsys.readouterr().err
