"""A sweep that goes on with more epochs, or with other ranges."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ResultsError
from cifar_tune.execution.results_folder import Mode, as_begun, open_results
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics

FILE = """\
name: longer
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  schedule: {name: constant}
  epochs: 3
search:
  optimizer.lr: {float: [0.001, 1.0]}
sampler: {name: tpe, n_startup_trials: 2}
scheduler: {name: asha, grace_epochs: 1, audit_fraction: 0.0}
trials_per_study: 9
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "longer.yaml").write_text(FILE)
    return tmp_path / "results"


def sweep_of(folder: Path, *overrides: str) -> SweepConfig:
    return load_sweep(folder.parent / "longer.yaml", overrides)


def open_as(folder: Path, sweep: SweepConfig, mode: Mode) -> ResultsStore:
    return open_results(folder, sweep, mode)[0]


def train(search: Search, proposal: Proposal, last: int | None = None) -> None:
    for epoch in range(1, (last or proposal.trial.epochs) + 1):
        accuracy = proposal.trial.optimizer.lr * epoch / (epoch + 1)
        metrics = EpochMetrics(epoch, 1.0, 0.5, 1 - accuracy, accuracy, 0.1, 1.0, 100.0, 10)
        decision = search.report(proposal.trial_id, metrics)
        if decision.action == "stop":
            search.end(proposal.trial_id, "stopped", decision.reason)
            return
    if last is None:
        search.end(proposal.trial_id, "completed")


def finish(store: ResultsStore, sweep: SweepConfig) -> list[str]:
    """Trains what is left; returns the trials that were unfinished at first."""
    search = Search(sweep, store)
    left = search.unfinished()
    for proposal in left:
        train(search, proposal)
    while (proposal := search.propose()) is not None:
        train(search, proposal)
    return [one.trial_id for one in left]


def statuses(store: ResultsStore) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for trial_id in store.trial_ids():
        found.setdefault(store.trial(trial_id)["status"], []).append(trial_id)
    return found


def test_completed_trials_go_on_to_the_new_last_epoch_and_stopped_ones_stay(folder: Path) -> None:
    sweep = sweep_of(folder)
    with open_as(folder, sweep, "new") as store:
        finish(store, sweep)
        before = statuses(store)
    assert before["completed"]
    assert before["stopped"]
    longer = sweep_of(folder, "trial.epochs=5", "scheduler.grace_epochs=1")
    with open_as(folder, longer, "extend") as store:
        search = Search(longer, store)
        left = search.unfinished()
        assert [one.trial_id for one in left] == before["completed"]
        train(search, left[0], last=4)
    with open_as(folder, longer, "resume") as store:
        assert finish(store, longer) == before["completed"]
        assert [*statuses(store)["stopped"]] >= before["stopped"]
        for trial_id in before["completed"]:
            row = store.trial(trial_id)
            assert row["trial.epochs"] == 5
            if row["status"] == "completed":
                assert [one["epoch"] for one in store.epochs(trial_id)] == [1, 2, 3, 4, 5]
    with open_as(folder, longer, "resume") as store:
        assert finish(store, longer) == []


@pytest.mark.parametrize("name", ["asha", "asha_promotion", "median"])
def test_trials_that_go_on_were_compared_at_no_rung_that_there_was_not_then(folder: Path, name: str) -> None:
    """With more epochs their last one is a rung for new trials, which are compared there among themselves."""
    scheduler = f"scheduler={{name: {name}, grace_epochs: 1, audit_fraction: 0.0}}"
    sweep = sweep_of(folder, scheduler)
    with open_as(folder, sweep, "new") as store:
        finish(store, sweep)
        survivors = statuses(store)["completed"]
    longer = sweep_of(folder, scheduler, "trial.epochs=10", "trials_per_study=24")
    with open_as(folder, longer, "extend") as store:
        search = Search(longer, store)
        left = search.unfinished()
        assert [one.trial_id for one in left] == survivors
        train(search, left[0], last=5)
    with open_as(folder, longer, "resume") as store:
        finish(store, longer)
        rows = [row for trial_id in store.trial_ids() for row in store.epochs(trial_id) if row["rung"] is not None]
        assert all(store.epochs(trial_id)[2]["rung"] is None for trial_id in survivors)
        assert all(len(store.epochs(trial_id)) > 3 for trial_id in survivors)
    for rung in {row["rung"] for row in rows}:
        there = sorted((row for row in rows if row["rung"] == rung), key=lambda row: row["rung_size"])
        assert [row["rung_size"] for row in there] == [*range(1, len(there) + 1)]
        assert all(row["epoch"] == rung for row in there)
    assert 3 in {row["rung"] for row in rows}


@pytest.mark.parametrize("scheduler", ["{name: hyperband}", "{name: asha, grace_epochs: 1, brackets: 2}"])
def test_more_epochs_are_refused_where_brackets_follow_from_their_number(folder: Path, scheduler: str) -> None:
    sweep = sweep_of(folder, f"scheduler={scheduler}")
    with open_as(folder, sweep, "new") as store:
        finish(store, sweep)
    longer = sweep_of(folder, f"scheduler={scheduler}", "trial.epochs=9")
    with pytest.raises(ResultsError, match=r"cannot go on: the brackets of \w+ follow from the number of epochs; with"):
        open_as(folder, longer, "extend")
    with open_as(folder, longer, "restart") as store:
        finish(store, longer)


def test_a_grace_period_that_is_not_written_stays_what_the_sweep_was_begun_with(folder: Path) -> None:
    text = FILE.replace("grace_epochs: 1, ", "")
    (folder.parent / "longer.yaml").write_text(text)
    first = sweep_of(folder, "trial.epochs=20")
    assert dict(first.scheduler)["grace_epochs"] == 2
    with open_as(folder, first, "new") as store:
        finish(store, first)
    for epochs, mode in ((40, "extend"), (40, "resume"), (60, "extend")):
        asked = sweep_of(folder, f"trial.epochs={epochs}")
        longer = as_begun(folder, asked, mode)
        assert dict(asked.scheduler)["grace_epochs"] == epochs // 10
        assert dict(longer.scheduler)["grace_epochs"] == 2
        with open_as(folder, longer, mode) as store:
            finish(store, longer)
            assert {row["rung"] for row in store.epochs("t0001")} <= {None, 2, 6, 18, 54}
    written = sweep_of(folder, "trial.epochs=60", "scheduler.grace_epochs=5")
    with pytest.raises(ResultsError, match="grace_epochs: was 2, is 5 "):
        open_as(folder, as_begun(folder, written, "extend"), "extend")


def test_more_trials_move_no_rung_of_a_sweep_that_promotes(folder: Path) -> None:
    (folder.parent / "longer.yaml").write_text(FILE.replace("grace_epochs: 1, ", "").replace("asha", "asha_promotion"))
    first, asked = sweep_of(folder, "trial.epochs=27"), sweep_of(folder, "trial.epochs=27", "trials_per_study=54")
    assert [dict(one.scheduler)["grace_epochs"] for one in (first, asked)] == [9, 1]
    with open_as(folder, first, "new") as store:
        finish(store, first)
    assert dict(as_begun(folder, asked, "extend").scheduler)["grace_epochs"] == 9


def test_a_sweep_too_small_for_a_rung_has_those_of_the_larger_one_when_it_is_extended(folder: Path) -> None:
    """Two trials of 9 epochs leave no room for a rung; 18 have one at epoch 1 and one at 3."""
    (folder.parent / "longer.yaml").write_text(FILE.replace("grace_epochs: 1, ", "").replace("asha", "asha_promotion"))
    first, more = (sweep_of(folder, "trial.epochs=9", f"trials_per_study={count}") for count in (2, 18))
    found = []
    for results, disturbed in ((folder, False), (folder.with_name("disturbed"), True)):
        with open_as(results, first, "new") as store:
            finish(store, first)
            assert {row["rung"] for row in store.epochs("t0001")} == {None}
        larger = as_begun(results, more, "extend")
        assert (dict(first.scheduler)["grace_epochs"], dict(larger.scheduler)["grace_epochs"]) == (9, 1)
        with open_as(results, larger, "extend") as store:
            search = Search(larger, store)
            while disturbed and len(statuses(store).get("stopped", ())) < 6 and (proposal := search.propose()):
                train(search, proposal)
        with open_as(results, again := as_begun(results, more, "resume"), "resume") as store:
            assert again == larger
            finish(store, again)
            found.append({trial_id: store.epochs(trial_id) for trial_id in store.trial_ids()})
            assert len(statuses(store)["stopped"]) > 8
    assert found[0] == found[1]
    decided = {row["rung"]: row["rung_size"] for rows in found[0].values() for row in rows}
    assert (decided[1], sorted(decided, key=lambda rung: rung or 0)) == (16, [None, 1, 3])


@pytest.mark.parametrize("schedule", ["onecycle", "cosine"])
def test_more_epochs_are_refused_where_the_schedule_follows_from_their_number(folder: Path, schedule: str) -> None:
    sweep = sweep_of(folder, f"trial.schedule={{name: {schedule}}}")
    open_as(folder, sweep, "new").close()
    longer = sweep_of(folder, f"trial.schedule={{name: {schedule}}}", "trial.epochs=5", "scheduler.grace_epochs=1")
    with pytest.raises(ResultsError) as caught:
        open_as(folder, longer, "extend")
    assert f"trial.epochs: was 3, is 5 (completed trials cannot go on: the learning rate of {schedule}" in str(
        caught.value
    )


@pytest.mark.parametrize(("low", "high"), [(0.3, 1.0), (0.001, 2.0)])
def test_a_study_ignores_trials_outside_its_new_range_and_proposes_inside(
    folder: Path, low: float, high: float
) -> None:
    sweep = sweep_of(folder)
    with open_as(folder, sweep, "new") as store:
        finish(store, sweep)
    other = sweep_of(folder, f"search.optimizer.lr={{float: [{low}, {high}]}}", "trials_per_study=14")
    with open_as(folder, other, "extend") as store:
        finish(store, other)
        rates = [store.trial(trial_id)["trial.optimizer.lr"] for trial_id in store.trial_ids()]
    assert len(rates) == 14
    assert all(low <= rate <= high for rate in rates[9:])
    with open_as(folder, other, "resume") as store:
        assert Search(other, store).exhausted


def test_a_key_that_there_was_not_when_the_sweep_began_is_filled_in(folder: Path) -> None:
    """Else the trials of before would seem to differ from those of now."""
    sweep = sweep_of(folder)
    with open_as(folder, sweep, "new") as store:
        finish(store, sweep)
    ledger, recorded = folder / "ledger.jsonl", folder / "sweep.yaml"
    ledger.write_text(re.sub(r'"recompute":false,?', "", ledger.read_text()))
    recorded.write_text(re.sub(r"\n +recompute: .*", "", recorded.read_text()))
    more = sweep_of(folder, "trials_per_study=12")
    with open_as(folder, more, "extend") as store:
        finish(store, more)
        rows = [store.trial(trial_id) for trial_id in store.trial_ids()]
    assert {row["trial.recompute"] for row in rows} == {False}
    assert len({row["trial.optimizer.lr"] for row in rows}) == 12


def test_what_may_not_change_is_named_with_its_old_and_new_value(folder: Path) -> None:
    open_as(folder, sweep_of(folder), "new").close()
    wrong = ("trial.epochs: was 3, is 2", "trial.batch_size: was 128, is 64", "seed: was 0, is 1")
    overrides = ("trial.epochs=2", "trial.batch_size=64", "seed=1")
    modes: tuple[Mode, ...] = ("extend", "restart")
    for mode in modes:
        with pytest.raises(ResultsError) as caught:
            open_as(folder, sweep_of(folder, *overrides, "trials_per_study=12"), mode)
        assert all(line in str(caught.value) for line in wrong)
        assert "trials_per_study: was" not in str(caught.value)
        with pytest.raises(ResultsError) as caught:
            open_as(folder, sweep_of(folder, *overrides, "trials_per_study=4"), mode)
        assert all(line in str(caught.value) for line in wrong)
        assert "trials_per_study: was 9, is 4 (it can only become more)" in str(caught.value)
    open_as(folder.with_name("c"), sweep_of(folder, "sampler={name: cmaes}"), "new").close()
    changed = sweep_of(folder, "sampler={name: cmaes}", "search.optimizer.lr={float: [0.1, 1.0]}")
    with pytest.raises(ResultsError, match="cmaes has adapted to the old range"):
        open_as(folder.with_name("c"), changed, "extend")
