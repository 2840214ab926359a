"""Trials that run on although a rung would stop them, driven without Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.analysis.audit import StoppingAudit, judge_rung, stopping_audit
from cifar_tune.analysis.why import why
from cifar_tune.config.load import load_sweep
from cifar_tune.config.objective import Objective
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results import Frames, load
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.audit import Audit
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.schedulers.decision import Decision
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 9
FILE = """\
name: audited
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 9
search:
  optimizer.lr: {float: [0.001, 1.0]}
sampler: {name: random}
scheduler: {SCHEDULER, grace_epochs: 1, audit_fraction: FRACTION}
trials_per_study: TRIALS
"""

ACCURACY, LOSS = Objective(), Objective(metric="validation_loss", mode="min")

Curve = Callable[[float, int], float]


def parallel(lr: float, epoch: int) -> float:
    return lr / 2 + 0.05 * epoch


def crossing(lr: float, epoch: int) -> float:
    """The slower a trial begins, the higher it ends; in the fourth epoch all are equal."""
    return 0.4 + (lr / 10) * (epoch - 4)


SCHEDULERS = (
    "name: asha, reduction_factor: 3",
    "name: asha_promotion, reduction_factor: 3",
    "name: hyperband, reduction_factor: 3",
    "name: median, min_trials: 4",
)
each_scheduler = pytest.mark.parametrize("scheduler", SCHEDULERS)


def text_of(fraction: float | str, trials: int = 4, scheduler: str = SCHEDULERS[0]) -> str:
    return FILE.replace("FRACTION", str(fraction)).replace("TRIALS", str(trials)).replace("SCHEDULER", scheduler)


def wavering(lr: float, epoch: int) -> float:
    """Crossing curves that fall at times, so that the best is not the last."""
    return crossing(lr, epoch) - 0.06 * (epoch % 3 == 0) * (lr < 0.6)


def sweep_of(
    tmp_path: Path, *, fraction: float, trials: int = 60, seed: int = 0, scheduler: str = SCHEDULERS[0]
) -> SweepConfig:
    path = tmp_path / "audited.yaml"
    path.write_text(text_of(fraction, trials, scheduler))
    return load_sweep(path, [f"seed={seed}"])


def train(search: Search, proposal: Proposal, curve: Curve, epochs: int = EPOCHS) -> None:
    """Reports epochs from the first one on; those that are known already change nothing."""
    for epoch in range(1, epochs + 1):
        value = curve(proposal.trial.optimizer.lr, epoch)
        metrics = EpochMetrics(epoch, 1.0, 0.5, 1 - value, value, 0.1, 1.0, 100.0, 10)
        decision = search.report(proposal.trial_id, metrics)
        if decision.action == "stop":
            search.end(proposal.trial_id, "stopped", decision.reason)
            return
    if epochs == EPOCHS:
        search.end(proposal.trial_id, "completed")


def run(folder: Path, sweep: SweepConfig, curve: Curve) -> tuple[Search, Frames]:
    with ResultsStore.create(folder, sweep_name=sweep.name) as store:
        search = Search(sweep, store)
        while (proposal := search.propose()) is not None:
            train(search, proposal, curve)
    return search, load(folder)


def test_who_is_audited_follows_from_seed_and_name_alone_and_their_share_is_the_fraction() -> None:
    names = [f"t{number:04}" for number in range(1, 4001)]
    chosen = [name for name in names if Audit(7, 0.1, ACCURACY).chosen(name)]
    assert len(chosen) == pytest.approx(400, abs=57)  # three standard deviations of a binomial share
    assert chosen == [name for name in reversed(names) if Audit(7, 0.1, LOSS).chosen(name)][::-1]
    assert chosen != [name for name in names if Audit(8, 0.1, ACCURACY).chosen(name)]
    assert not any(Audit(7, 0.0, ACCURACY).chosen(name) for name in names)


def test_an_audited_trial_runs_to_the_end_and_its_row_keeps_the_comparison_that_would_have_stopped_it(
    tmp_path: Path,
) -> None:
    _, (trials, epochs, _) = run(tmp_path / "x", sweep_of(tmp_path, fraction=0.3), parallel)
    audited = trials[trials["audited"]]
    assert 10 <= len(audited) < len(trials) / 2
    assert set(audited["status"]) == {"completed"}
    assert set(audited["epochs_trained"]) == {EPOCHS}
    assert not trials.loc[trials["status"] == "stopped", "audited"].any()
    rows = epochs[epochs["trial_id"].isin(audited["trial_id"]) & epochs["rung"].notna()]
    last = rows.groupby("trial_id", observed=True).tail(1)
    assert set(last["decision"]) == {"continue"}
    assert (last["validation_accuracy"] < last["rung_cutoff"]).all()
    assert (last["rung_rank"] > 1).all()


@each_scheduler
def test_the_audited_ones_are_those_chosen_of_the_stopped_and_all_others_are_judged_as_without_them(
    tmp_path: Path, scheduler: str
) -> None:
    """The run without an audit is the oracle: the same proposals, one worker, nobody spared."""
    audited_run, (trials, with_audit, _) = run(
        tmp_path / "with", sweep_of(tmp_path, fraction=0.5, scheduler=scheduler), wavering
    )
    _, (unaudited, without, _) = run(
        tmp_path / "without", sweep_of(tmp_path, fraction=0.0, scheduler=scheduler), wavering
    )
    columns = ["trial_id", "rung", "rung_size", "rung_rank", "rung_cutoff"]
    decided = [frame.loc[frame["rung"].notna(), columns].reset_index(drop=True) for frame in (with_audit, without)]
    pd.testing.assert_frame_equal(*decided)
    stopped = set(unaudited.loc[unaudited["status"] == "stopped", "trial_id"])
    spared = {trial_id for trial_id in stopped if audited_run.audit.chosen(trial_id)}
    assert len(spared) > 5
    assert set(trials.loc[trials["audited"], "trial_id"]) == spared
    ran = trials[trials["audited"]]
    assert (set(ran["status"]), set(ran["epochs_trained"])) == ({"completed"}, {EPOCHS})
    assert set(trials.loc[trials["status"] == "stopped", "trial_id"]) == stopped - spared
    found = stopping_audit(trials, with_audit, "validation_accuracy")
    arrivals = audited_run.audit.arrivals()
    assert found is not None
    assert arrivals is not None
    assert judge_rung(*arrivals) == found.rungs[0]


@each_scheduler
def test_an_audited_trial_is_told_when_and_why_it_was_to_be_stopped(tmp_path: Path, scheduler: str) -> None:
    _, (trials, epochs, _) = run(tmp_path / "x", sweep_of(tmp_path, fraction=0.5, scheduler=scheduler), wavering)
    trial_id = trials.loc[trials["audited"], "trial_id"].iloc[-1]
    rows = epochs[(epochs["trial_id"] == trial_id) & epochs["rung"].notna()]
    first, place, spared, needed, *_ = why(trials, epochs, trial_id).splitlines()
    assert first == f"{trial_id} completed: it ended after epoch 9 of 9."
    assert place.startswith("Its validation accuracy was ")
    assert spared.startswith(f"It was to be stopped after epoch {rows['rung'].iloc[-1]}: place ")
    assert spared.endswith("It ran on to show what early stopping costs (`audit_fraction`).")
    assert " was needed, " in needed or "nobody could go on before more had come" in needed
    passed = [f"epoch {rung} (" for rung in rows["rung"].iloc[:-1]]
    told = why(trials, epochs, trial_id).splitlines()[-1]
    assert all(one in told for one in passed)
    assert f"epoch {rows['rung'].iloc[-1]} (" not in told


@each_scheduler
@pytest.mark.parametrize("deaths", [(5, 9, 42), pytest.param(tuple(range(2, 90)), marks=pytest.mark.nightly)])
def test_a_search_that_dies_and_is_rebuilt_audits_the_same_trials(
    tmp_path: Path, deaths: tuple[int, ...], scheduler: str
) -> None:
    sweep = sweep_of(tmp_path, fraction=0.4, trials=40, scheduler=scheduler)
    whole, expected = run(tmp_path / "whole", sweep, crossing)
    store = ResultsStore.create(tmp_path / "broken", sweep_name=sweep.name)
    search = Search(sweep, store)
    number = 0
    while (proposal := search.propose()) is not None:
        number += 1
        if number in deaths:
            train(search, proposal, crossing, epochs=max(1, known(store, proposal)) + number % 3)
            store.close()
            store = ResultsStore.open(tmp_path / "broken")
            search = Search(sweep, store)
        if proposal in search.unfinished():
            train(search, proposal, crossing)
    store.close()
    found = load(tmp_path / "broken")
    pd.testing.assert_frame_equal(found.epochs, expected.epochs)
    assert found.trials["audited"].tolist() == expected.trials["audited"].tolist()
    assert search.audit.arrivals() == whole.audit.arrivals()


def test_a_kill_before_the_table_says_that_a_trial_is_audited_is_made_good(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, fraction=0.5, trials=20)
    run(tmp_path / "x", sweep, parallel)
    ledger = tmp_path / "x" / LEDGER_NAME
    lines = ledger.read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if json.loads(line).get("values", {}).get("audited"))
    ledger.write_text("".join(lines[:place]))
    trial_id = json.loads(lines[place])["trial_id"]
    with ResultsStore.open(tmp_path / "x") as store:
        assert store.trial(trial_id)["audited"] is False
        assert [one.trial_id for one in Search(sweep, store).unfinished()] == [trial_id]
        assert store.trial(trial_id)["audited"] is True


def test_an_audited_trial_counts_with_its_final_value_and_a_diverged_one_as_the_worst() -> None:
    audit = Audit(0, 0.5, LOSS)
    name = next(f"t{number}" for number in range(20) if audit.chosen(f"t{number}"))
    assert audit.arrivals() is None
    decision = audit.overruled(name, Decision("stop", 2, 5, 4, 0.3))
    assert decision == Decision("continue", 2, 5, 4, 0.3)
    row = {"validation_loss": 0.5, "decision": "continue", "rung": 2, "rung_cutoff": 0.3}
    assert audit.saw(name, "all", row)
    assert not audit.saw(name, "all", {**row, "validation_loss": 0.2, "rung": None, "rung_cutoff": None})
    audit.saw("other", "all", {**row, "validation_loss": 0.1})
    audit.ended(name, "completed")
    audit.ended("other", "diverged")
    assert audit.arrivals() == (2, ["all", "all"], [-0.5, -0.1], [-0.2, -math.inf], [True, False], [True, False])


def test_a_paused_trial_that_went_on_was_not_stopped() -> None:
    audit = Audit(0, 0.0, ACCURACY)
    paused = {"validation_accuracy": 0.5, "decision": "stop", "rung": 1, "rung_cutoff": 0.6}
    for trial_id in ("stays", "goes on"):
        assert not audit.saw(trial_id, "all", paused)
    on = {"validation_accuracy": 0.7, "decision": "continue", "rung": None, "rung_cutoff": None}
    assert not audit.saw("goes on", "all", on)
    found = audit.arrivals()
    assert found is not None
    assert found.out == [True, False]


def known(store: ResultsStore, proposal: Proposal) -> int:
    return len(store.epochs(proposal.trial_id))


def audit_of(tmp_path: Path, curve: Curve) -> tuple[Search, StoppingAudit]:
    search, (trials, epochs, _) = run(tmp_path / "x", sweep_of(tmp_path, fraction=0.2, trials=150), curve)
    found = stopping_audit(trials, epochs, "validation_accuracy")
    assert found is not None
    return search, found


def test_crossing_curves_warn_that_the_grace_period_is_too_short_and_say_what_would_do(tmp_path: Path) -> None:
    search, found = audit_of(tmp_path, crossing)
    assert found.rungs[0].unreliable
    assert found.rungs[0].correlation < -0.5
    assert found.rungs[0].good_stopped > 0.5
    assert found.enough == 5
    arrivals = search.audit.arrivals()
    assert arrivals is not None
    assert judge_rung(*arrivals) == found.rungs[0]


def test_parallel_curves_do_not_warn(tmp_path: Path) -> None:
    _, found = audit_of(tmp_path, parallel)
    assert not found.rungs[0].unreliable
    assert found.rungs[0].correlation == pytest.approx(1)
    assert found.rungs[0].good_stopped < 0.2


@pytest.mark.parametrize("fraction", ["-0.1", "0.51", "1", "many"])
def test_a_fraction_outside_its_range_is_an_error_with_the_values_allowed(tmp_path: Path, fraction: str) -> None:
    (tmp_path / "x.yaml").write_text(text_of(fraction))
    with pytest.raises(ConfigError) as caught:
        load_sweep(tmp_path / "x.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'x.yaml'}:10:")
    assert "scheduler.audit_fraction: must be" in str(caught.value)
    assert "0.5" in str(caught.value)


@pytest.mark.parametrize(("name", "reason"), [("pbt", "replaces weak trials"), ("none", "stops no trial")])
def test_where_nothing_is_stopped_for_good_an_audit_is_an_error_that_says_why(
    tmp_path: Path, name: str, reason: str
) -> None:
    text = text_of(0.1).replace("name: asha, reduction_factor: 3, grace_epochs: 1", f"name: {name}")
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_sweep(tmp_path / "x.yaml")
    assert f"scheduler.audit_fraction: {name} {reason}" in str(caught.value)
    assert "allowed with asha, asha_promotion, hyperband, median" in str(caught.value)
