"""Trainings too short for their schedule, and options that make no sense."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from cifar_tune.training.schedules import AnySchedule, OneCycle
from cifar_tune.training.schedules.constant import Constant
from cifar_tune.training.trial import TrialConfig

SCHEDULE = TypeAdapter(AnySchedule)


def message(values):
    with pytest.raises(ValidationError) as caught:
        SCHEDULE.validate_python(values)
    return "; ".join(error["msg"] for error in caught.value.errors())


def test_a_training_of_one_step_takes_it_at_the_peak():
    assert OneCycle().at(0, 1, 1).lr_factor == 1


def test_a_training_of_two_steps_begins_at_the_peak_and_ends_at_the_bottom():
    assert [OneCycle().at(step, 2, 1).lr_factor for step in range(2)] == pytest.approx([1, 1 / 25 / 1e4])


def test_a_rise_of_exactly_one_step_divides_by_nothing():
    assert OneCycle(rise=0.25).at(0, 4, 1).lr_factor == 1


def test_a_warm_up_longer_than_the_training_takes_all_of_it():
    factors = [Constant(warmup_epochs=4.0, warmup_start=0.0).at(step, 20, 10).lr_factor for step in range(20)]
    assert factors == pytest.approx([step / 40 for step in range(20)])


@pytest.mark.parametrize(("warmup_epochs", "shown"), [(5.0, "5"), (5.5, "5.5")])
def test_a_trial_refuses_a_warm_up_that_fills_it(warmup_epochs, shown):
    trial = {
        "dataset": {"name": "digits"},
        "model": {"name": "resnet18"},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "schedule": {"name": "constant", "warmup_epochs": warmup_epochs},
        "epochs": 5,
    }
    with pytest.raises(
        ValidationError, match=f"warmup_epochs {shown} leaves nothing of 5 epochs: the lr would never be"
    ):
        TrialConfig.model_validate(trial)
    TrialConfig.model_validate({**trial, "epochs": 6})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "step", "every": 3, "milestones": [4]}, "every has no effect with milestones; leave it out"),
        ({"name": "step", "milestones": [4, 4]}, "milestones must rise: 4, 4"),
        ({"name": "step", "every": 3, "gamma": 1.5}, "less than or equal to 1"),
        ({"name": "onecycle", "start_divisor": 2.0, "final_divisor": 0.1}, "would end above the lr"),
        ({"name": "onecycle", "rise": 1.0}, "less than 1"),
        ({"name": "cosine", "warmup_epochs": -1.0}, "greater than or equal to 0"),
        ({"name": "cosine", "warmup_start": 1.5}, "less than or equal to 1"),
        ({"name": "warm_restarts", "period_epochs": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(values, expected):
    assert expected in message(values)
