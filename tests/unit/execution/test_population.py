"""Population based training through the search, driven without Ray."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.extending import may_change, reason_against
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.studies.exploration import explored
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 9
MEMBERS = 8


def sweep_of(**changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": {
            "dataset": {"name": "digits"},
            "model": {"name": "resnet18", "width": 8},
            "augmentations": [{"name": "crop", "padding": 1}],
            "optimizer": {"name": "sgd", "lr": 0.1},
            "epochs": EPOCHS,
        },
        "search": {
            "optimizer.lr": {"float": [0.001, 1.0], "log": True},
            "loss.label_smoothing": {"float": [0.0, 0.2], "step": 0.05},
            "augmentations.crop.padding": {"int": [1, 3]},
            "sam": {"choice": [None, {"rho": {"float": [0.01, 0.1]}}]},
        },
        "sampler": {"name": "random"},
        "scheduler": {"name": "pbt", "population": MEMBERS, "interval_epochs": 3},
    }
    return SweepConfig.model_validate(values | changes)


def value_of(proposal: Proposal, epoch: int) -> float:
    """Best at a learning rate of 0.05; rises with the epochs."""
    return math.exp(-abs(math.log(proposal.trial.optimizer.lr / 0.05)) / 3) * epoch / (epoch + 1)


class Workers:
    """So many workers that take turns at random; the driver may die after any report."""

    def __init__(
        self, folder: Path, sweep: SweepConfig, *, workers: int, deaths: float = 0.0, seed: int = 0, every: int = 1
    ) -> None:
        """every: so many epochs are validated, and the last."""
        self.every = every
        self.sweep, self.folder, self.workers, self.deaths = sweep, folder, workers, deaths
        self.draw = random.Random(seed)
        self.proposals: dict[str, Proposal] = {}
        self.trained: list[tuple[str, int]] = []
        self.broken: set[str] = set()

    def run(self) -> Mapping[str, dict[str, Any]]:
        store = ResultsStore.create(self.folder, sweep_name="digits")
        search = Search(self.sweep, store)
        live: list[tuple[Proposal, int]] = []
        while True:
            while len(live) < self.workers and (proposal := search.propose()) is not None:
                self.proposals[proposal.trial_id] = proposal
                live.append((proposal, self.begins(store, proposal)))
            if not live:
                break
            place = self.draw.randrange(len(live))
            proposal, epoch = live[place]
            live[place] = (proposal, epoch + 1)
            if not self.goes_on(search, proposal, epoch + 1):
                del live[place]
            if self.draw.random() < self.deaths:
                store.close()
                store = ResultsStore.open(self.folder)
                search = Search(self.sweep, store)
                live = [(one, self.begins(store, one)) for one in search.unfinished()]
        assert search.exhausted
        assert Search(self.sweep, store).progress().counts == search.progress().counts
        self.progress = search.progress()
        store.close()
        store = ResultsStore.open(self.folder)
        rows = {name: store.trial(name) | {"epochs": store.epochs(name)} for name in store.trial_ids()}
        store.close()
        return rows

    def begins(self, store: ResultsStore, proposal: Proposal) -> int:
        rows = store.epochs(proposal.trial_id)
        if rows:
            return int(rows[-1]["epoch"])
        return 0 if proposal.parent is None else proposal.parent.epoch

    def goes_on(self, search: Search, proposal: Proposal, epoch: int) -> bool:
        trial_id = proposal.trial_id
        if trial_id in self.broken:
            search.end(trial_id, "diverged", "training loss is not finite")
            return False
        self.trained.append((trial_id, epoch))
        value = value_of(proposal, epoch)
        known = (1 - value, value) if epoch % self.every == 0 or epoch == EPOCHS else (None, None)
        decision = search.report(trial_id, EpochMetrics(epoch, 1.0, 0.5, *known, 0.1, 1.0, 100.0, 10))
        if decision.action == "stop":
            search.end(trial_id, "stopped", decision.reason)
        elif epoch == EPOCHS:
            search.end(trial_id, "completed")
        return decision.action == "continue" and epoch < EPOCHS


def test_the_worst_quarter_gives_way_to_neighbours_of_the_best_and_every_epoch_of_the_population_is_trained(
    tmp_path: Path,
) -> None:
    done = Workers(tmp_path / "x", sweep_of(), workers=3)
    rows = done.run()
    assert len(done.trained) == len(set(done.trained)) == MEMBERS * EPOCHS
    replaced = {one.parent.replaces: one for one in done.proposals.values() if one.parent is not None}
    assert len(replaced) == 2 * 2
    for rung in (3, 6):
        there = [name for name, row in rows.items() if rung in [one["epoch"] for one in row["epochs"]]]
        ranked = sorted(there, key=lambda name: (-value_of(done.proposals[name], rung), name))
        assert len(ranked) == MEMBERS
        for rank, loser in ((7, ranked[6]), (8, ranked[7])):
            child = replaced[loser]
            assert child.parent is not None
            assert child.parent.epoch == rung
            assert child.parent.trial_id in ranked[:2]
            assert rows[loser]["status"] == "stopped"
            assert rows[loser]["status_reason"] == (
                f"place {rank} of 8 at epoch {rung}; replaced by {child.trial_id}, "
                f"which goes on from a copy of {child.parent.trial_id}"
            )
            last = rows[loser]["epochs"][-1]
            assert (last["decision"], last["rung"]) == ("stop", rung)
            assert rows[child.trial_id]["parent"] == child.parent.trial_id
            assert rows[child.trial_id]["epochs"][0]["epoch"] == rung + 1
            ratio = child.trial.optimizer.lr / done.proposals[child.parent.trial_id].trial.optimizer.lr
            assert ratio == pytest.approx(0.8) or ratio == pytest.approx(1.2)
    assert sum(row["status"] == "completed" for row in rows.values()) == MEMBERS
    assert all(row["parent"] is None for name, row in rows.items() if name <= "t0008")
    assert done.progress.planned == len(rows) == MEMBERS + 4


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_neither_the_number_of_workers_nor_deaths_of_the_driver_change_who_is_replaced_by_what(
    tmp_path: Path, seed: int
) -> None:
    whole = Workers(tmp_path / "whole", sweep_of(), workers=1, seed=seed)
    broken = Workers(tmp_path / "broken", sweep_of(), workers=2 + seed, deaths=0.3, seed=seed)
    assert {name: row["status"] for name, row in whole.run().items()} == {
        name: row["status"] for name, row in broken.run().items()
    }
    assert broken.proposals == whole.proposals


@pytest.mark.parametrize(
    ("every", "pauses"),
    [(2, (4, 6)), *(pytest.param(*rest, marks=pytest.mark.slow) for rest in ((4, (4, 8)), (5, (5,)), (7, (7,))))],
)
def test_where_not_every_epoch_is_validated_members_pause_at_the_first_that_is_past_the_interval(
    tmp_path: Path, every: int, pauses: tuple[int, ...]
) -> None:
    """Intervals of 3 epochs. Where every fifth is validated, the second is passed at 9, when trials are complete."""
    whole = Workers(tmp_path / "whole", sweep_of(), workers=1, every=every)
    rows = whole.run()
    assert len(whole.trained) == len(set(whole.trained)) == MEMBERS * EPOCHS
    children = [one for one in whole.proposals.values() if one.parent is not None]
    assert sorted(one.parent.epoch for one in children if one.parent) == sorted(2 * pauses)
    for child in children:
        assert child.parent is not None
        assert rows[child.parent.replaces]["epochs_trained"] == child.parent.epoch
        assert rows[child.trial_id]["epochs"][0]["epoch"] == child.parent.epoch + 1
    assert sum(row["status"] == "completed" for row in rows.values()) == MEMBERS
    broken = Workers(tmp_path / "broken", sweep_of(), workers=3, deaths=0.3, every=every)
    broken.run()
    assert broken.proposals == whole.proposals


def test_a_member_that_diverges_holds_nobody_up_and_gets_no_successor(tmp_path: Path) -> None:
    done = Workers(tmp_path / "x", sweep_of(), workers=3)
    done.broken = {"t0002", "t0005"}
    rows = done.run()
    assert sum(row["status"] == "completed" for row in rows.values()) == MEMBERS - 2
    reasons = [row["status_reason"] for row in rows.values() if row["status"] == "stopped"]
    assert len(reasons) == 4
    assert all(" of 6 at epoch " in reason for reason in reasons)


def test_each_cell_of_a_grid_is_a_population_of_its_own(tmp_path: Path) -> None:
    done = Workers(tmp_path / "x", sweep_of(grid={"model.width": [8, 16]}), workers=5)
    rows = done.run()
    assert len(done.trained) == 2 * MEMBERS * EPOCHS
    for row in rows.values():
        if row["parent"] is not None:
            assert rows[row["parent"]]["trial.model.width"] == row["trial.model.width"]


def test_neighbours_lie_inside_their_domains_and_follow_from_the_seed() -> None:
    sweep = sweep_of()
    trial = sweep.trial_with({"loss.label_smoothing": 0.05, "optimizer.lr": 0.9, "augmentations.crop.padding": 2})
    made = [explored(sweep.search, trial, str(seed)) for seed in range(200)]
    assert made == [explored(sweep.search, trial, str(seed)) for seed in range(200)]
    assert {round(one["optimizer.lr"], 9) for one in made} == {0.72, 1.0}
    assert {round(one["loss.label_smoothing"], 9) for one in made} == {0.0, 0.1}
    assert {one["augmentations.crop.padding"] for one in made} == {1, 3}
    kept = sum(one["sam"] is None for one in made) / len(made)
    assert kept == pytest.approx(1 - 0.25 / 2, abs=0.06)
    rhos = [one["sam"]["rho"] for one in made if one["sam"] is not None]
    assert all(0.01 <= rho <= 0.1 for rho in rhos)


def test_zero_is_drawn_anew_for_no_factor_leads_away_from_it() -> None:
    sweep = sweep_of()
    smoothing = {explored(sweep.search, sweep.trial, str(seed))["loss.label_smoothing"] for seed in range(100)}
    assert {round(one, 9) for one in smoothing} == {0.0, 0.05, 0.1, 0.15, 0.2}


@pytest.mark.parametrize(
    ("path", "grown"),
    [
        ("trials_per_study", lambda sweep: sweep.model_copy(update={"trials_per_study": 9})),
        (
            "trial.epochs",
            lambda sweep: sweep.model_copy(update={"trial": sweep.trial.model_copy(update={"epochs": 12})}),
        ),
    ],
)
def test_a_population_cannot_be_extended(path: str, grown: Callable[[SweepConfig], SweepConfig]) -> None:
    before = sweep_of()
    assert not may_change(path, before, grown(before))
    told = " (a population trains side by side, and has come to its end)"
    assert reason_against(path, before, grown(before)) == told
