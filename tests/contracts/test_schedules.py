"""What every schedule of the union must hold, whatever its options."""

from __future__ import annotations

import math
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cifar_tune.training.schedules import AnySchedule

SCHEDULE = TypeAdapter(AnySchedule)
ACTIVE = {"step": {"every": 2}}
NAMES = [member.model_fields["name"].default for member in typing.get_args(typing.get_args(AnySchedule)[0])]


def schedule(name, **options):
    return SCHEDULE.validate_python({"name": name, **ACTIVE.get(name, {}), **options})


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(
    epochs=st.integers(1, 12),
    steps_per_epoch=st.integers(1, 50),
    warmup=st.floats(0, 15),
    start=st.floats(0, 1),
    data=st.data(),
)
def test_every_setting_is_finite_and_never_above_the_peak(name, epochs, steps_per_epoch, warmup, start, data):
    total = epochs * steps_per_epoch
    member = schedule(name, warmup_epochs=warmup, warmup_start=start)
    setting = member.at(data.draw(st.integers(0, total - 1)), total, steps_per_epoch)
    assert math.isfinite(setting.lr_factor)
    assert 0 <= setting.lr_factor <= 1 + 1e-12
    assert setting.momentum is None or 0 <= setting.momentum < 1


@pytest.mark.parametrize("name", NAMES)
def test_the_same_step_has_the_same_setting_in_any_order(name):
    member = schedule(name, warmup_epochs=1.5)
    forwards = [member.at(step, 60, 10) for step in range(60)]
    backwards = [member.at(step, 60, 10) for step in reversed(range(60))]
    assert forwards == backwards[::-1]


@pytest.mark.parametrize("name", NAMES)
def test_it_survives_json(name):
    member = schedule(name, warmup_epochs=2.5)
    assert SCHEDULE.validate_json(member.model_dump_json()) == member


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_trainings_take_a_step_worth_taking(name, total):
    assert max(schedule(name).at(step, total, 1).lr_factor for step in range(total)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_warm_up_rises_to_the_schedule_without_a_jump(name):
    member = schedule(name, warmup_epochs=2.0, warmup_start=0.1)
    warm = [member.at(step, 100, 10).lr_factor for step in range(21)]
    assert warm[0] == pytest.approx(0.1 * warm[20])
    assert warm[:20] == pytest.approx([warm[20] * (0.1 + 0.9 * step / 20) for step in range(20)])
