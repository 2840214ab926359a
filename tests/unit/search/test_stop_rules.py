"""When a sweep ends before all its trials are done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.stop_rules import StopRules
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.execution.clock import Clock
from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.stop_rules import LEAST_COMPLETED, StopMonitor, chance_of_improvement
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 2
FILE = """\
name: ending
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 2
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {float: [0.001, 1.0]}
sampler: {name: random}
scheduler: {name: none}
trials_per_study: 20
stop: STOP
"""

Value = Callable[[Proposal, int], float]


def sweep_of(tmp_path: Path, stop: str, *overrides: str) -> SweepConfig:
    (tmp_path / "ending.yaml").write_text(FILE.replace("STOP", stop))
    return load_sweep(tmp_path / "ending.yaml", overrides)


def rising(proposal: Proposal, epoch: int) -> float:
    """0.1 of the first trial's first epoch, and a little more of every later one."""
    return 0.1 + 0.01 * int(proposal.trial_id[1:]) + 0.001 * epoch


def falling(proposal: Proposal, epoch: int) -> float:
    return 0.9 - rising(proposal, epoch)


def train(search: Search, proposal: Proposal, value: Value) -> None:
    for epoch in range(1, EPOCHS + 1):
        accuracy = value(proposal, epoch)
        search.report(proposal.trial_id, EpochMetrics(epoch, 1.0, 0.5, 1 - accuracy, accuracy, 0.1, 1.0, 100.0, 10))
    search.end(proposal.trial_id, "completed")


def run(search: Search, value: Value) -> int:
    """Trains one after the other; returns how many."""
    count = 0
    while (proposal := search.propose()) is not None:
        train(search, proposal, value)
        count += 1
    return count


@pytest.mark.parametrize(
    ("stop", "value", "trials", "told"),
    [
        ("{trials: 7}", rising, 7, "stop.trials: 7 trials were started"),
        ("{target: 0.15}", rising, 5, "stop.target: 0.152 reached the target of 0.15"),
        ("{no_improvement_trials: 4}", falling, 5, "stop.no_improvement_trials: 4 trials brought nothing better"),
        ("{no_improvement_trials: 4, min_delta: 0.035}", rising, 40, None),
        ("{no_improvement_trials: 3, min_delta: 0.5}", rising, 4, "stop.no_improvement_trials: 3 trials brought"),
        ("{no_improvement_trials: 1}", falling, 2, "stop.no_improvement_trials: 1 trials brought nothing better"),
        ("{trials: 9, target: 0.15}", rising, 5, "stop.target"),
        ("{trials: 3, target: 0.15}", rising, 3, "stop.trials"),
        ("{}", rising, 40, None),
    ],
)
def test_the_first_rule_that_is_met_ends_the_sweep_and_is_noted(
    tmp_path: Path, stop: str, value: Value, trials: int, told: str | None
) -> None:
    sweep = sweep_of(tmp_path, stop)
    with ResultsStore.create(tmp_path / "x", sweep_name=sweep.name) as store:
        search = Search(sweep, store)
        assert run(search, value) == trials
        assert search.exhausted
        notes = [note["told"] for note in store.notes("ended_by")]
    assert (search.ended_by is None) == (told is None)
    assert len(notes) == (told is not None)
    assert all(note.startswith(told or "") for note in notes)


def test_no_cell_stays_empty_because_others_bring_nothing_better(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "{no_improvement_trials: 1}", "grid.model.width=[4, 8]")
    with ResultsStore.create(tmp_path / "x", sweep_name=sweep.name) as store:
        assert run(Search(sweep, store), falling) == len(sweep.cells()) == 4
        assert len({store.trial(trial_id)["study"] for trial_id in store.trial_ids()}) == 4


def test_a_target_for_a_loss_is_reached_from_above(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "{target: 0.75}", "objective.metric=validation_loss")
    with ResultsStore.create(tmp_path / "x", sweep_name=sweep.name) as store:
        assert run(Search(sweep, store), lambda proposal, epoch: rising(proposal, epoch) + 0.1) == 5


def test_trials_under_way_are_finished_and_a_better_one_among_them_does_not_reopen_the_sweep(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "{no_improvement_trials: 2}")
    with ResultsStore.create(tmp_path / "x", sweep_name=sweep.name) as store:
        search = Search(sweep, store)
        proposals = [search.propose() for _ in range(4)]
        first, second, third, last = [one for one in proposals if one is not None]
        for proposal, value in ((first, 0.5), (second, 0.4), (third, 0.4)):
            train(search, proposal, lambda _, __, value=value: value)
        assert search.propose() is None
        assert search.unfinished() == (last,)
        train(search, last, lambda *_: 0.9)
        assert search.propose() is None
    with ResultsStore.open(tmp_path / "x") as store:
        assert Search(sweep, store).ended_by == search.ended_by
        assert Search(sweep_of(tmp_path, "{no_improvement_trials: 3}"), store).propose() is not None


@pytest.mark.parametrize("stop", ["{no_improvement_trials: 6}", "{target: 0.7}", "{probability_of_improvement: 0.4}"])
def test_a_driver_that_dies_and_is_rebuilt_comes_to_the_same_end(tmp_path: Path, stop: str) -> None:
    """Two workers, so that trials do not end in the order in which they began."""
    values = np.random.default_rng(3).random(50) * 0.75

    def drawn(proposal: Proposal, epoch: int) -> float:
        return float(values[int(proposal.trial_id[1:])]) * epoch / EPOCHS

    def run_by_twos(folder: Path, *, dying: bool) -> list[str]:
        store = ResultsStore.create(folder, sweep_name="ending")
        search = Search(sweep, store)
        while pair := [one for one in (search.propose(), search.propose()) if one is not None]:
            for proposal in reversed(pair):
                train(search, proposal, drawn)
                if dying:
                    store.close()
                    store = ResultsStore.open(folder)
                    search = Search(sweep, store)
        store.close()
        return [line for line in (folder / LEDGER_NAME).read_text().splitlines() if '"ended_by"' in line]

    sweep = sweep_of(tmp_path, stop)
    whole = run_by_twos(tmp_path / "whole", dying=False)
    assert len(whole) == 1
    assert run_by_twos(tmp_path / "broken", dying=True) == whole


def test_the_plan_counts_no_more_trials_than_the_rule_allows(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="ending") as store:
        assert Search(sweep_of(tmp_path, "{trials: 7}"), store).progress().planned == 7


DRAWS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "exponential": lambda generator, count: generator.exponential(size=count),
    "normal": lambda generator, count: generator.normal(size=count),
    "uniform": lambda generator, count: generator.random(count),
    "smooth optimum": lambda generator, count: 1 - generator.random(count) ** 2 - generator.random(count) ** 2,
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_the_chance_is_never_promised_lower_than_it_is(name: str, min_delta: float) -> None:
    """Of sweeps by chance, in all and among those told the least. Where any gain counts, it is m / (n + m)."""
    generator = np.random.default_rng(0)
    told, improved = [], []
    for _ in range(1500):
        past, future = DRAWS[name](generator, 100), DRAWS[name](generator, 20)
        told.append(chance_of_improvement([past], [20], min_delta))
        improved.append(future.max() > past.max() + min_delta)
    chances, hits = np.array(told, float), np.array(improved)
    least = chances <= np.quantile(chances, 0.2)
    noise = 3 * 0.5 / np.sqrt(least.sum())
    assert chances.mean() >= hits.mean() - noise
    assert chances[least].mean() >= hits[least].mean() - noise
    if not min_delta:
        assert hits.mean() == pytest.approx(20 / 120, abs=0.03)
        assert hits.mean() - 0.03 <= chances.mean() <= 2 * hits.mean()


def test_where_nothing_is_left_nothing_can_be_better_and_little_data_is_no_answer() -> None:
    finals = np.arange(50.0)
    assert chance_of_improvement([finals], [0]) == 0
    assert chance_of_improvement([finals[: LEAST_COMPLETED - 1]], [5]) is None
    assert chance_of_improvement([np.full(50, np.nan)], [5]) is None
    assert chance_of_improvement([finals, finals[:2]], [5, 5]) is None
    assert chance_of_improvement([np.full(50, 1.0)], [5], 0.1) == 0


def test_a_study_far_below_the_best_adds_next_to_nothing() -> None:
    good, weak = np.linspace(0.8, 0.9, 50), np.linspace(0.1, 0.2, 50)
    alone = chance_of_improvement([good], [10])
    assert alone is not None
    assert chance_of_improvement([good, weak], [10, 10]) == pytest.approx(alone, abs=1e-6)
    assert chance_of_improvement([good, weak], [0, 10]) == pytest.approx(0, abs=1e-6)


def test_hours_count_over_all_drivers(tmp_path: Path) -> None:
    rules = StopRules(hours=1.0, gpu_hours=1.5)
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        clock = Clock(rules, store, now=100.0)
        clock.tick(1900.0, gpus=2.0)
        assert clock.met() is None
        assert (clock.seconds, clock.gpu_seconds) == (1800.0, 3600.0)
    with ResultsStore.open(tmp_path / "x") as store:
        clock = Clock(rules, store, now=7.0)
        assert (clock.seconds, clock.gpu_seconds) == (1800.0, 3600.0)
        clock.tick(907.0, gpus=2.0)
        met = clock.met()
        assert met is not None
        assert (met.rule, met.told) == ("gpu_hours", "stop.gpu_hours: 1.5 of 1.5 gpu-hours")
        clock.end(1807.0, met)
        assert [note["rule"] for note in store.notes("ended_by")] == ["gpu_hours"]
    with ResultsStore.open(tmp_path / "x") as store:
        met = Clock(rules, store, now=0.0).met()
        assert met is not None
        assert met.told == "stop.hours: 1 of 1 hours"
        assert Clock(StopRules(hours=2.0), store, now=0.0).met() is None


def test_a_kill_costs_the_clock_half_a_minute_at_most(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        clock = Clock(StopRules(), store, now=0.0)
        for second in range(1, 100):
            clock.tick(float(second), gpus=0.0)
        assert 99 - Clock(StopRules(), store, now=0.0).seconds <= 30


def test_a_rule_about_time_is_none_of_the_search(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        Clock(StopRules(hours=1e-6), store, now=0.0).end(1.0, None)
        store.note("ended_by", rule="hours", limit=1.0, told="stop.hours")
        assert StopMonitor(StopRules(hours=1.0), store, studies=["all"], planned=4, sign=1).met() is None


@pytest.mark.parametrize(
    ("stop", "overrides", "message"),
    [
        ("{trials: 0}", (), "stop.trials: must be a whole number of at least 1"),
        ("{trials: 41}", (), "stop.trials: must be at most 40, all trials that `trials_per_study` gives, got 41"),
        ("{trials: 1}", (), "stop.trials: must be at least 2, one for each cell of the grid, got 1"),
        ("{hours: 0}", (), "stop.hours: must be a number above 0"),
        ("{gpu_hours: many}", (), "stop.gpu_hours: must be a number above 0"),
        ("{target: 95}", (), "stop.target: validation_accuracy is a fraction: must be from 0 to 1, got 95; write 0.95"),
        ("{probability_of_improvement: 1}", (), "stop.probability_of_improvement: must be a number"),
        ("{hour: 3}", (), "stop.hour: unknown key `hour`; did you mean `hours`?"),
        (
            "{target: 0.9}",
            ("objective=[{metric: validation_accuracy}, {metric: num_parameters}]", "sampler.name=nsga2"),
            "stop.target: needs one objective, got validation_accuracy, num_parameters; drop it",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_an_error_before_any_work(
    tmp_path: Path, stop: str, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep_of(tmp_path, stop, *overrides)
    assert message in str(caught.value)
    assert f"{tmp_path / 'ending.yaml'}:14:" in str(caught.value)
