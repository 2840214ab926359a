"""Whether sharing a card pays, from what trials were seen to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.sweep_config import Resources
from cifar_tune.execution.placement.allocation import WHOLE
from cifar_tune.execution.placement.memory_record import Conditions, MemoryRecord
from cifar_tune.execution.placement.oom_fallback import NONE
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.execution.placement.speed_record import Load, SpeedRecord, worthwhile
from tests.unit.execution.placement.test_placement import SERVER, TRIAL, nodes_of

LOAD = Load(Conditions("H100", "bfloat16", "{}", 32), 128)


@pytest.mark.parametrize(
    ("speeds", "most"),
    [
        ({}, None),
        ({4: 30.0}, None),
        ({1: 100.0, 4: 50.0}, None),
        ({1: 100.0, 4: 25.0}, 1),
        ({1: 100.0, 4: 26.0}, 1),
        ({1: 100.0, 4: 27.0}, None),
        ({1: 100.0, 2: 80.0, 8: 19.0}, 2),
        ({2: 80.0, 8: 10.0}, 2),
    ],
)
def test_a_card_holds_the_fewest_trials_that_train_nearly_as_much_together(
    speeds: dict[int, float], most: int | None
) -> None:
    assert worthwhile(speeds) == most


def test_the_highest_speed_of_each_company_is_kept_for_the_next_sweep(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "speed.jsonl"
    record = SpeedRecord.read(path)
    for trials, speed in ((1, 90.0), (1, 100.0), (1, 101.0), (4, 20.0), (1, 50.0)):
        record.learn(LOAD, trials, speed)
    assert len(path.read_text().splitlines()) == 3
    path.write_text(path.read_text() + '{"half a li\n[]\n{}\n')
    again = SpeedRecord.read(path)
    assert again.speeds == {LOAD: {1: 100.0, 4: 20.0}}
    assert again.most(LOAD) == 1
    assert again.most(Load(LOAD.conditions, 64)) is None


def test_what_neighbours_cost_is_learnt_from_epochs_in_which_nobody_came_left_or_was_starting(tmp_path: Path) -> None:
    needs = Needs(tmp_path, MemoryRecord())
    nodes = nodes_of(SERVER)
    placer = Placer(Resources(cpus=1), lambda: nodes, needs, trials=100)
    card = SERVER.gpus[0]
    assert placer.place("a", [(TRIAL, NONE)]) == 0
    alone = placer["a"].piece.card
    for speed in (70.0, 100.0):
        placer.measured("a", 1, speed)
    assert placer.place("b", [(TRIAL, NONE)]) == 0
    assert placer["b"].numbers == placer["a"].numbers
    for speed in (90.0, 95.0):
        placer.measured("a", 1, speed)
    placer.measured("b", 1, 10.0)
    for speed in (60.0, 40.0):
        placer.measured("a", 1, speed)
    (speeds,) = needs.speeds.speeds.values()
    assert speeds == {1: 100.0, 2: 40.0}
    assert needs.most(TRIAL, card) == 1
    placer.release("b")
    assert placer.place("c", [(TRIAL, NONE)]) == 0
    assert alone < WHOLE == placer["c"].piece.card
    assert placer["c"].numbers != placer["a"].numbers
