"""Whatever is killed, whenever: no reported row is lost, none is doubled, and the tables are valid at every instant."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cifar_tune.errors import ResultsError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.ledger import events, repair
from cifar_tune.results.lock import read_driver
from cifar_tune.results.rows import DRIVER_DIED

DRIVER = """
import itertools, sys
from pathlib import Path
from cifar_tune.results import ResultsStore, store as module
module.WRITE_SECONDS, module.WRITE_SHARE = 0.05, 0
folder = Path(sys.argv[1])
store = ResultsStore.open(folder) if folder.exists() else ResultsStore.create(folder, sweep_name="s")
print("ready", flush=True)
for trial in itertools.count(len(store.trial_ids())):
    store.update_trial(f"t{trial}", status="running", configuration={"place": trial})
    for epoch in range(1, 4):
        store.add_epoch(f"t{trial}", epoch, validation_accuracy=epoch / (trial + 4))
        print(trial, epoch, flush=True)
    store.update_trial(f"t{trial}", status="completed")
"""


def kill_at_random(folder: Path, delay: float) -> list[tuple[int, int]]:
    """Epochs that the driver was told were recorded before it was killed; the tables are read all the while."""
    command = [sys.executable, "-c", DRIVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + delay
        while time.monotonic() < until:
            trials, epochs = (pd.read_parquet(folder / f"{name}.parquet") for name in ("trials", "epochs"))
            assert trials["epochs_trained"].sum() <= len(epochs)
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines()
    whole = [line.split() for line in lines if len(line.split()) == 2]
    return [(int(trial), int(epoch)) for trial, epoch in whole]


def check_after_kills(folder: Path, reported: list[tuple[int, int]]) -> None:
    before = {name: pq.read_table(folder / f"{name}.parquet") for name in ("trials", "epochs")}
    ResultsStore.open(folder).close()
    epochs = pq.read_table(folder / "epochs.parquet").to_pylist()
    pairs = [(row["trial_id"], row["epoch"]) for row in epochs]
    assert len(pairs) == len(set(pairs))
    assert {(f"t{trial}", epoch) for trial, epoch in reported} <= set(pairs)
    for row in epochs:
        assert row["validation_accuracy"] == row["epoch"] / (int(row["trial_id"][1:]) + 4)
    trials = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [row["trial_id"] for row in trials] == [f"t{place}" for place in range(len(trials))]
    assert [row["trial.place"] for row in trials] == list(range(len(trials)))
    assert {row["status"] for row in trials if row["epochs_trained"] < 3} <= {"interrupted"}
    assert before["trials"].num_rows <= len(trials)
    assert before["epochs"].num_rows <= len(epochs)


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.nightly)])
def test_a_driver_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path, kills: int) -> None:
    draw = random.Random(kills)
    reported: list[tuple[int, int]] = []
    for _ in range(kills):
        reported += kill_at_random(tmp_path / "s", draw.uniform(0.0, 0.4))
        driver = read_driver(tmp_path / "s")
        assert driver is not None
        assert not driver.alive
    assert reported
    check_after_kills(tmp_path / "s", reported)


def make_sweep(folder: Path) -> list[bytes]:
    """A small sweep; its ledger's lines."""
    with ResultsStore.create(folder, sweep_name="s") as store:
        for trial_id in ("a", "ü"):
            store.update_trial(trial_id, status="running", configuration={"x": trial_id, "optimizer.lr": 0.5})
            store.add_epoch(trial_id, 1, train_loss=0.5, decision="continue", validation_accuracy=0.25)
            store.note("proposal", trial_id=trial_id)
            store.add_epoch(trial_id, 2, train_loss=0.25, decision="stop")
        store.update_trial("a", status="stopped", status_reason="was 2nd of 2")
    return (folder / LEDGER_NAME).read_bytes().splitlines(keepends=True)


def test_a_ledger_cut_at_any_byte_holds_exactly_its_whole_events(tmp_path: Path) -> None:
    lines = make_sweep(tmp_path / "s")
    whole = b"".join(lines)
    cut = tmp_path / "ledger.jsonl"
    for length in range(len(lines[0]), len(whole) + 1):
        cut.write_bytes(whole[:length])
        count = whole[:length].count(b"\n")
        assert list(events(cut)) == [json.loads(line) for line in lines[:count]]
        repair(cut)
        assert cut.read_bytes() == b"".join(lines[:count])


def test_a_sweep_whose_ledger_was_cut_goes_on_and_its_rows_stay_whole(tmp_path: Path) -> None:
    lines = make_sweep(tmp_path / "s")
    ledger = tmp_path / "s" / LEDGER_NAME
    whole = b"".join(lines)
    for length in range(len(lines[0]), len(whole), 131):
        ledger.write_bytes(whole[:length])
        with ResultsStore.open(tmp_path / "s") as store:
            store.update_trial("new", status="completed")
            assert store.add_epoch("new", 1, train_loss=1.0)
            ids = store.trial_ids()
        assert load(tmp_path / "s").trials["trial_id"].tolist() == ids
        assert all(json.loads(line) for line in ledger.read_bytes().splitlines())


def test_a_torn_end_of_zeros_is_dropped(tmp_path: Path) -> None:
    """What some file systems leave after a power failure."""
    lines = make_sweep(tmp_path / "s")
    ledger = tmp_path / "s" / LEDGER_NAME
    ledger.write_bytes(b"".join(lines[:4]) + b"\0" * 50 + b"\n" + b"\0" * 20)
    repair(ledger)
    assert ledger.read_bytes() == b"".join(lines[:4])


def test_an_empty_or_headless_ledger_is_refused(tmp_path: Path) -> None:
    lines = make_sweep(tmp_path / "s")
    ledger = tmp_path / "s" / LEDGER_NAME
    for content in (b"", lines[0][:-5]):
        ledger.write_bytes(content)
        with pytest.raises(
            ResultsError, match=r"ledger\.jsonl: holds not one whole event; start .* again with --fresh"
        ):
            ResultsStore.open(tmp_path / "s")
    ledger.write_bytes(lines[1])
    with pytest.raises(ResultsError, match="is not a ledger of cifar_tune"):
        ResultsStore.open(tmp_path / "s")


def test_damage_before_the_end_of_a_ledger_is_named_by_its_line(tmp_path: Path) -> None:
    lines = make_sweep(tmp_path / "s")
    ledger = tmp_path / "s" / LEDGER_NAME
    ledger.write_bytes(b"".join([*lines[:2], b'{"event":"ep\n', *lines[3:]]))
    with pytest.raises(ResultsError, match=r"ledger\.jsonl:3: this line is damaged, though lines after it are whole"):
        ResultsStore.open(tmp_path / "s")


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    make_sweep(tmp_path / "s")
    ledger = tmp_path / "s" / LEDGER_NAME
    ledger.write_bytes(ledger.read_bytes().replace(b'"ledger_version":1', b'"ledger_version":9'))
    with pytest.raises(ResultsError, match="is of version 9, made by a newer cifar_tune; this one reads up to 1"):
        ResultsStore.open(tmp_path / "s")


def test_trials_of_a_dead_driver_are_interrupted_once_and_may_run_again(tmp_path: Path) -> None:
    lines = make_sweep(tmp_path / "s")
    (tmp_path / "s" / LEDGER_NAME).write_bytes(b"".join(lines[:-1]))
    with ResultsStore.open(tmp_path / "s") as store:
        assert store.trial("ü")["status"] == "interrupted"
        assert store.trial("ü")["status_reason"] == DRIVER_DIED
        store.update_trial("ü", status="running", status_reason=None)
        assert store.trial("ü")["status_reason"] is None
        store.update_trial("ü", status="completed")
    with ResultsStore.open(tmp_path / "s") as store:
        assert store.trial("ü")["status"] == "completed"
