"""What every scheduler does, whatever it is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.search.schedulers import Scheduler, build_scheduler
from cifar_tune.search.schedulers.decision import Decision

EPOCHS = 27
MEMBERS = [member() for member in get_args(get_args(AnyScheduler)[0])]
BRACKETED = MEMBERS[0].model_copy(update={"brackets": 3})
SCHEDULERS = [*MEMBERS, BRACKETED]
Curves = Mapping[str, Sequence[float]]

each_scheduler = pytest.mark.parametrize("config", SCHEDULERS, ids=[one.name for one in MEMBERS] + ["asha in brackets"])
each_seed = pytest.mark.parametrize("seed", range(4))


def curves(count: int, seed: int) -> dict[str, list[float]]:
    """Rising, crossing, on a coarse grid so that some values are equal."""
    draw = random.Random(seed)
    made = {}
    for number in range(1, count + 1):
        top, speed = draw.uniform(0.2, 1.0), draw.uniform(0.5, 6)
        made[f"t{number:04}"] = [round(top * epoch / (epoch + speed), 2) for epoch in range(1, EPOCHS + 1)]
    return made


@dataclass
class Session:
    """A scheduler under workers that take turns at random. told: what it was told, in order."""

    scheduler: Scheduler
    curves: Curves
    workers: int
    draw: random.Random
    to_start: list[str] = field(init=False)
    live: list[str] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    decisions: list[tuple[str, int, Decision]] = field(default_factory=list)
    told: dict[str, list[str | int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.to_start = list(self.curves)

    def run(self, steps: int | None = None) -> Session:
        while (steps is None or steps > 0) and (self._begin() or self.live):
            self._train(self.draw.choice(self.live))
            steps = None if steps is None else steps - 1
        return self

    def _begin(self) -> bool:
        while len(self.live) < self.workers:
            trial_id = self.scheduler.promotable(closed=not self.to_start)
            if trial_id is None and not self.to_start:
                break
            trial_id = trial_id or self.to_start.pop(0)
            self.scheduler.start(trial_id)
            self.live.append(trial_id)
            self.told.setdefault(trial_id, [])
        return bool(self.live)

    def _train(self, trial_id: str) -> None:
        epoch = self.epochs[trial_id] = self.epochs.get(trial_id, 0) + 1
        decision = self.scheduler.report(trial_id, epoch, self.curves[trial_id][epoch - 1])
        self.told[trial_id].append(epoch)
        self.decisions.append((trial_id, epoch, decision))
        if decision.action == "stop" or epoch == EPOCHS:
            self.scheduler.end(trial_id, stopped=decision.action == "stop")
            self.live.remove(trial_id)


def session(config: Any, made: Curves, seed: int, sign: int = 1, workers: int = 4) -> Session:
    scheduler = build_scheduler(config, epochs=EPOCHS, signs=(sign,), seed=0)
    return Session(scheduler, made, workers, random.Random(seed))


@each_scheduler
@each_seed
def test_every_trial_is_started_and_the_session_ends(config: Any, seed: int) -> None:
    done = session(config, curves(40, seed), seed).run()
    assert len(done.epochs) == 40
    assert not done.live
    assert done.scheduler.promotable(closed=True) is None


@each_scheduler
@each_seed
def test_the_trial_that_is_best_at_every_epoch_completes(config: Any, seed: int) -> None:
    made = curves(30, seed)
    made["t0011"] = [1 + epoch / 100 for epoch in range(EPOCHS)]
    done = session(config, made, seed).run()
    assert done.epochs["t0011"] == EPOCHS


@each_scheduler
@each_seed
def test_minimising_the_negative_is_maximising(config: Any, seed: int) -> None:
    made = curves(30, seed)
    up = session(config, made, seed).run()
    down = session(config, {name: [-value for value in curve] for name, curve in made.items()}, seed, sign=-1).run()
    assert [(name, epoch, one.action, one.rung_rank, one.rung_size) for name, epoch, one in up.decisions] == [
        (name, epoch, one.action, one.rung_rank, one.rung_size) for name, epoch, one in down.decisions
    ]
    cutoffs = [one.rung_cutoff for _, _, one in up.decisions if one.rung_cutoff is not None]
    assert cutoffs == [-one.rung_cutoff for _, _, one in down.decisions if one.rung_cutoff is not None]


@each_scheduler
@each_seed
def test_told_again_of_one_trial_after_the_other_it_goes_on_as_if_nothing_had_happened(config: Any, seed: int) -> None:
    made = curves(40, seed)
    whole = session(config, made, seed).run(150)
    rebuilt = session(config, made, seed)
    for trial_id, epochs in whole.told.items():
        rebuilt.scheduler.start(trial_id)
        for epoch in epochs:
            rebuilt.scheduler.report(trial_id, int(epoch), made[trial_id][int(epoch) - 1])
        if trial_id not in whole.live:
            rebuilt.scheduler.end(trial_id, stopped=epochs[-1] != EPOCHS)
    rebuilt.draw.setstate(whole.draw.getstate())
    rebuilt.to_start, rebuilt.live = list(whole.to_start), list(whole.live)
    rebuilt.epochs, rebuilt.told = dict(whole.epochs), {name: [] for name in whole.told}
    before = len(whole.decisions)
    assert rebuilt.run().decisions == whole.run().decisions[before:]


@each_scheduler
def test_what_is_stopped_can_go_on_only_where_the_scheduler_pauses(config: Any) -> None:
    done = session(config, curves(40, 0), 0).run()
    stops = [(name, epoch) for name, epoch, one in done.decisions if one.action == "stop"]
    went_on = [name for name, epoch in stops if done.epochs[name] > epoch]
    assert bool(went_on) == done.scheduler.pauses
    assert all(one.paused == (done.scheduler.pauses and one.action == "stop") for _, _, one in done.decisions)
    assert bool(stops) == (config.name != "none")


@each_scheduler
def test_no_trial_is_stopped_before_its_grace_period_or_at_its_last_epoch(config: Any) -> None:
    if config.name == "none":
        return
    late = config.model_copy(update={"interval_epochs" if config.name == "pbt" else "grace_epochs": 5})
    done = session(late, curves(40, 1), 1).run()
    stops = [epoch for _, epoch, one in done.decisions if one.action == "stop"]
    assert min(stops) >= 5
    assert max(stops) < EPOCHS


@each_scheduler
@pytest.mark.parametrize("every", [5, EPOCHS])
def test_a_trial_that_is_validated_seldom_is_never_stopped_after_its_last_epoch(config: Any, every: int) -> None:
    scheduler = build_scheduler(config, epochs=EPOCHS, signs=(1,), seed=0)
    for number in range(12):
        trial_id = f"t{number:04}"
        scheduler.start(trial_id)
        validated = [*range(every, EPOCHS, every), EPOCHS]
        decisions = [scheduler.report(trial_id, epoch, -number + epoch / 100) for epoch in validated]
        assert (decisions[-1].action, decisions[-1].rung) == ("continue", None)
        scheduler.end(trial_id, stopped=False)
