"""The overview in the terminal, of sweeps in every state."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from cifar_tune.analysis.reports.overview import Choice, print_overview
from cifar_tune.analysis.reports.summary import print_summary
from cifar_tune.errors import AnalysisError
from cifar_tune.results import ResultsStore, load

MakeSweep = Callable[[str, Callable[[ResultsStore], None]], Path]


def overview(folder: Path, choice: Choice | None = None) -> str:
    console = Console(file=StringIO(), width=100)
    print_overview(console, folder, *load(folder), choice)
    return console.file.getvalue()


def add(
    store: ResultsStore, trial_id: str, status: str, *, accuracy: float | None = None, lr: float = 0.1, **values: str
) -> None:
    store.update_trial(trial_id, status=status, configuration={"optimizer.lr": lr}, **values)
    if accuracy is not None:
        store.add_epoch(trial_id, 1, validation_accuracy=accuracy, epoch_seconds=1.0)


def test_a_finished_sweep_shows_counts_best_trials_and_heat_map(sweep: Path) -> None:
    text = overview(sweep)
    assert text.startswith("s: 6 trials: 3 completed, 2 stopped, 1 diverged\n")
    assert "1 diverged, t005: no message" in text
    assert "Best completed trials" in text
    assert text.index("t004") < text.index("t001") < text.index("t000")
    assert "2 trials were stopped early. They are not ranked" in text
    assert "optimizer.lr across, model.activation down" in text
    assert "not running" not in text


def test_the_choice_decides_axes_metric_epoch_and_length(sweep: Path) -> None:
    text = overview(sweep, Choice(x="model.activation", metric="validation_loss", at_epoch=3, aggregate="mean", top=1))
    assert "Mean validation loss (nats per image) at epoch 3\nmodel.activation across\n" in text
    assert "t001" not in text
    assert "optimizer.lr across\n" in overview(sweep, Choice(y="optimizer.lr"))
    with pytest.raises(AnalysisError, match=r"did you mean `optimizer\.lr`"):
        overview(sweep, Choice(x="lr"))


def test_an_empty_sweep_says_so(make_sweep: MakeSweep) -> None:
    assert overview(make_sweep("empty", ResultsStore.publish)) == "empty: 0 trials\nNo trial has been started yet.\n\n"


def test_one_trial_has_a_ranking_and_no_heat_map(make_sweep: MakeSweep) -> None:
    text = overview(make_sweep("one", lambda store: add(store, "t1", "completed", accuracy=0.5)))
    assert "one: 1 trial: 1 completed" in text
    assert "50.00 %" in text
    assert "across" not in text


def test_a_sweep_of_failures_says_why(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place in range(3):
            add(store, f"t{place}", "failed", lr=0.1 * (place + 1), error="Traceback ...\nRuntimeError: [no] memory")

    text = overview(make_sweep("failed", fill))
    assert "3 failed, t0 first: RuntimeError: [no] memory" in text
    assert "No trial has finished an epoch." in text
    assert "// (1)" in text


def test_while_nothing_has_completed_those_that_got_furthest_are_shown(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        add(store, "t0", "stopped", accuracy=0.25)
        add(store, "t1", "stopped", accuracy=0.5, lr=0.2)

    text = overview(make_sweep("early", fill))
    assert "No trial has completed. Those that got furthest, without rank:" in text
    assert text.index("50.00 %") < text.index("25.00 %")


def test_a_sweep_under_way_says_who_is_running_it(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        add(store, "t0", "running", accuracy=0.25)
        store.publish(force=True)
        text = overview(tmp_path / "s")
        driver = f"process {os.getpid()} on {platform.node()}"
        assert f"The sweep is running ({driver}); 1 trial is being trained now: t0 (epoch 1)." in text
        for place in range(1, 10):
            store.update_trial(f"t{place}", status="running", configuration={"epochs": 8})
        store.publish(force=True)
        text = " ".join(overview(tmp_path / "s").split())
        assert "10 trials are being trained now: t0 (epoch 1), t1 (epoch 0 of 8), t2 (epoch 0 of 8)," in text
        assert "t7 (epoch 0 of 8) and 2 more." in text
        for place in range(1, 10):
            store.update_trial(f"t{place}", status="completed")
    told = "The sweep is not running and 1 trial is unfinished: t0 (epoch 1). `sweep ... --resume` goes on."
    assert told in overview(tmp_path / "s")


def test_a_driver_that_died_or_whose_number_was_given_to_another_process_is_not_running(make_sweep: MakeSweep) -> None:
    folder = make_sweep("s", lambda store: add(store, "t0", "running", accuracy=0.25))
    started = psutil.Process().create_time()
    for pid, since, running in (
        (os.getpid(), started, True),
        (os.getpid(), started - 60, False),
        (2**22 + 1, 0.0, False),
    ):
        driver = {"pid": pid, "node": platform.node(), "process_started": since, "since": "today"}
        (folder / ".driver.json").write_text(json.dumps(driver))
        assert ("The sweep is running" in overview(folder)) == running
    (folder / ".driver.json").write_text(json.dumps(driver | {"node": "elsewhere"}))
    assert f"process {2**22 + 1} on elsewhere" in overview(folder)
    (folder / ".driver.json").write_text("{")
    assert "The sweep is not running" in overview(folder)


def test_the_summary_ends_with_where_everything_lies(sweep: Path) -> None:
    console = Console(file=StringIO(), width=80)
    print_summary(sweep, console, str(sweep))
    lines = console.file.getvalue().splitlines()
    place = lines.index("Best completed trials")
    end = [line.strip() for line in lines[place:] if line]
    assert end[-2:] == [f"python -m cifar_tune.{command} {sweep}" for command in ("report", "confirm")]
    assert {"trials.parquet    one row a trial", "sweep.yaml        the sweep as it was run"} <= set(end)
    assert not any(line.startswith("checkpoints") for line in end)


def test_the_summary_names_checkpoints_that_were_put_aside(sweep: Path) -> None:
    (sweep / "checkpoints" / "t0003" / "last.corrupt").mkdir(parents=True)
    console = Console(file=StringIO(), width=80)
    print_summary(sweep, console, str(sweep))
    assert "  checkpoints/t0003/last.corrupt: was corrupt; the trial went on from" in console.file.getvalue()


def test_a_command_to_go_on_with_can_be_pasted_whatever_the_folder_is_called(sweep: Path) -> None:
    odd = sweep.rename(sweep.with_name("it's [bold] here"))
    console = Console(file=StringIO(), width=80)
    print_summary(odd, console, str(odd))
    pasted = shlex.split(console.file.getvalue().splitlines()[-1])
    assert pasted == ["python", "-m", "cifar_tune.confirm", str(odd)]
