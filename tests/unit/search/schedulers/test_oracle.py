"""Every decision of a whole search computed again, by brute force, from epochs.parquet alone; killed or not."""

from __future__ import annotations

import operator
import random
import statistics
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 9
SEED = 3
SWEEP: dict[str, Any] = {
    "name": "digits",
    "seed": SEED,
    "trial": {
        "dataset": {"name": "digits"},
        "model": {"name": "resnet18", "width": 8},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "epochs": EPOCHS,
    },
    "search": {"optimizer.lr": {"float": [0.001, 1.0], "log": True}},
    "sampler": {"name": "tpe", "n_startup_trials": 5},
    "trials_per_study": 40,
}
SCHEDULERS = {
    "asha": {"name": "asha", "audit_fraction": 0.0, "grace_epochs": 1, "reduction_factor": 3},
    "asha in brackets": {"name": "asha", "audit_fraction": 0.0, "reduction_factor": 2, "brackets": 3},
    "asha_promotion": {"name": "asha_promotion", "audit_fraction": 0.0, "grace_epochs": 1, "reduction_factor": 3},
    "hyperband": {"name": "hyperband", "audit_fraction": 0.0, "grace_epochs": 1, "reduction_factor": 3},
    "median": {"name": "median", "audit_fraction": 0.0, "grace_epochs": 2, "min_trials": 4},
}
DIVERGING = ("t0006", "t0017")
Kill = Callable[[int], bool]


def accuracy(trial_id: str, epoch: int) -> float:
    """Crossing curves on a coarse grid, so that some values are equal."""
    draw = random.Random(trial_id)
    top, speed = draw.uniform(0.3, 0.9), draw.uniform(0.5, 6)
    return round(top * epoch / (epoch + speed), 2)


def run(folder: Path, sweep: SweepConfig, killed: Kill = lambda _: False, workers: int = 4) -> pd.DataFrame:
    """Trains the whole sweep with workers that take turns; returns epochs.parquet, sorted by trial and epoch.

    killed: whether the driver dies after so many epochs, to be followed by another that knows the folder only.
    """
    store = ResultsStore.create(folder, sweep_name=sweep.name)
    search, draw = Search(sweep, store), random.Random(0)
    live: dict[str, Proposal] = {}
    epochs: dict[str, int] = {}
    done = 0
    while True:
        while len(live) < workers and (proposal := search.propose()) is not None:
            live[proposal.trial_id] = proposal
        if killed(done):
            store.close()
            store = ResultsStore.open(folder)
            search = Search(sweep, store)
            assert set(search.unfinished()) == set(live.values())
        if not live:
            break
        assert not search.exhausted or not search.propose()
        trial_id = draw.choice(list(live))
        epoch = epochs[trial_id] = epochs.get(trial_id, 0) + 1
        done += 1
        if not train(search, trial_id, epoch):
            del live[trial_id]
    assert search.exhausted
    store.close()
    return pd.read_parquet(folder / "epochs.parquet")


def train(search: Search, trial_id: str, epoch: int) -> bool:
    """Reports an epoch, after those that a checkpoint holds; returns whether the trial goes on."""
    if trial_id in DIVERGING and epoch == 2:
        search.end(trial_id, "diverged", "training loss is not finite")
        return False
    for one in range(1, epoch + 1):
        value = accuracy(trial_id, one)
        decision = search.report(trial_id, EpochMetrics(one, 1.0, 0.5, 1 - value, value, 0.1, 1.0, 100.0, 10))
        assert one == epoch or decision.action == "continue"
    if decision.action == "stop":
        search.end(trial_id, "stopped", decision.reason)
    elif epoch == EPOCHS:
        search.end(trial_id, "completed")
    return decision.action == "continue" and epoch < EPOCHS


@pytest.fixture(scope="module", params=SCHEDULERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pd.DataFrame]:
    sweep = SweepConfig.model_validate(SWEEP | {"scheduler": SCHEDULERS[request.param]})
    return request.param, run(tmp_path_factory.mktemp("oracle") / "r", sweep)


def rungs_of(epochs: pd.DataFrame) -> Iterator[tuple[int, int, list[dict[str, Any]]]]:
    """Yields (bracket, epoch, rows) of each rung, the rows in the order in which their trials came."""
    decided = epochs[epochs.rung.notna()].assign(bracket=lambda rows: rows.bracket.fillna(-1))
    for (bracket, rung), rows in decided.groupby(["bracket", "rung"]):
        rows = rows.sort_values("rung_size")
        assert rows.rung_size.tolist() == list(range(1, len(rows) + 1))
        assert (rows.epoch == rung).all()
        yield int(bracket), int(rung), rows.to_dict("records")


def reached(epochs: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(last) for name, last in epochs.groupby("trial_id").epoch.max().items()}


def order(row: dict[str, Any]) -> tuple[float, str]:
    return -row["validation_accuracy"], row["trial_id"]


def check_stopping(epochs: pd.DataFrame, factor: int, bracket_of: Callable[[str], int]) -> None:
    for bracket, _, rows in rungs_of(epochs):
        values = [row["validation_accuracy"] for row in rows]
        for place, row in enumerate(rows):
            there = sorted(values[: place + 1], reverse=True)
            cutoff = there[max(1, len(there) // factor) - 1]
            better = sum(value > values[place] for value in there)
            assert row["rung_cutoff"] == cutoff
            assert row["rung_rank"] == better + 1
            assert row["decision"] == ("continue" if values[place] >= cutoff else "stop")
            assert bracket_of(row["trial_id"]) == bracket
    lasts = epochs.sort_values("epoch").groupby("trial_id").tail(1)
    ended = lasts[~lasts.trial_id.isin(DIVERGING)]
    assert ((ended.decision == "stop") == (ended.epoch < EPOCHS)).all()


def hyperband_share(trial_id: str) -> int:
    """ASHA's bracket: rungs 1, 2, 4, 8 by halves; trials in proportion 16 / 5, 8 / 4, 4 / 3."""
    sizes = np.array([16 / 5, 8 / 4, 4 / 3])
    draw = np.random.default_rng((SEED, zlib.crc32(trial_id.encode()))).random()
    return int((draw >= np.cumsum(sizes / sizes.sum())).sum())


def check_promotion(epochs: pd.DataFrame, factor: int) -> None:
    last = reached(epochs)
    for _, rung, rows in rungs_of(epochs):
        for place, row in enumerate(rows):
            there = sorted(rows[: place + 1], key=order)
            assert row["rung_rank"] == there.index(row) + 1
            assert row["decision"] == ("continue" if row["rung_rank"] <= len(there) // factor else "stop")
        final = sorted(rows, key=order)
        best = final[: max(1, len(rows) // factor)]
        assert all(last[row["trial_id"]] > rung for row in best if row["trial_id"] not in DIVERGING)
        for row in rows:
            if last[row["trial_id"]] > rung:
                sizes = range(int(row["rung_size"]), len(rows) + 1)
                ranks = [sorted(rows[:size], key=order).index(row) for size in sizes]
                assert any(rank < max(1, size // factor) for rank, size in zip(ranks, sizes, strict=True))


def check_hyperband(epochs: pd.DataFrame, factor: int) -> None:
    """9 trials at rungs 1 and 3; 5 at rung 3; 3 without; 9 again, 5 again, and 3, the last six of 40 in a new round."""
    last = reached(epochs)
    sizes = {0: 9, 1: 5, 3: 9, 4: 5, 6: 6}
    came: dict[int, set[str]] = {}
    for bracket, rung, rows in rungs_of(epochs):
        assert {row["trial_id"] for row in rows} <= came.get(bracket, set(last))
        places = max(1, sizes[bracket] // factor ** (1 if rung == 1 or bracket in (1, 4) else 2))
        passed = {row["trial_id"] for row in sorted(rows, key=order)[:places]}
        assert {row["trial_id"] for row in rows if last[row["trial_id"]] > rung} == passed - set(DIVERGING)
        came[bracket] = passed
        for row in rows[:-1]:
            assert (row["decision"], np.isnan(row["rung_cutoff"])) == ("stop", True)


def check_median(epochs: pd.DataFrame, least: int) -> None:
    curves = {name: rows.validation_accuracy.tolist() for name, rows in epochs.groupby("trial_id")}
    for _, rung, rows in rungs_of(epochs):
        names: Sequence[str] = [row["trial_id"] for row in rows]
        for place, row in enumerate(rows):
            averages = [reduce(operator.add, curves[name][:rung]) / rung for name in names[:place]]
            best = max(curves[row["trial_id"]][:rung])
            stop = len(averages) >= least and best < statistics.median(averages)
            assert row["decision"] == ("stop" if stop else "continue")
            assert row["rung_rank"] == 1 + sum(average > best for average in averages)
            if len(averages) >= least:
                assert row["rung_cutoff"] == statistics.median(averages)


def check(name: str, epochs: pd.DataFrame) -> None:
    assert epochs.trial_id.nunique() == SWEEP["trials_per_study"]
    assert set(epochs.decision) == {"continue", "stop"}
    match name:
        case "asha":
            check_stopping(epochs, 3, lambda _: -1)
        case "asha in brackets":
            check_stopping(epochs, 2, hyperband_share)
        case "asha_promotion":
            check_promotion(epochs, 3)
        case "hyperband":
            check_hyperband(epochs, 3)
        case "median":
            check_median(epochs, 4)


def test_every_decision_follows_from_the_epochs_before_it(made: tuple[str, pd.DataFrame]) -> None:
    check(*made)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_so_it_does_where_lower_is_better(name: str, tmp_path: Path) -> None:
    changes = {"scheduler": SCHEDULERS[name], "objective": {"metric": "validation_loss"}, "sampler": {"name": "random"}}
    epochs = run(tmp_path / "loss", SweepConfig.model_validate(SWEEP | changes))
    mirrored = {"validation_accuracy": -epochs.validation_loss, "rung_cutoff": -epochs.rung_cutoff}
    check(name, epochs.assign(**mirrored))


@pytest.mark.slow
@pytest.mark.parametrize("interval", [7, 1], ids=["now and then", "after every epoch"])
def test_a_driver_that_is_killed_and_followed_by_another_decides_the_same(
    made: tuple[str, pd.DataFrame], tmp_path: Path, interval: int
) -> None:
    name, epochs = made
    sweep = SweepConfig.model_validate(SWEEP | {"scheduler": SCHEDULERS[name]})
    if interval == 1:
        sweep = sweep.model_copy(update={"trials_per_study": 9})
        epochs = run(tmp_path / "whole", sweep)
    again = run(tmp_path / "killed", sweep, killed=lambda done: done % interval == 0)
    pd.testing.assert_frame_equal(again, epochs)
