"""Each schedule's curve, step by step, against torch's scheduler of the same name."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from cifar_tune.training.schedules.constant import Constant
from cifar_tune.training.schedules.cosine import Cosine
from cifar_tune.training.schedules.onecycle import OneCycle
from cifar_tune.training.schedules.schedule import Schedule
from cifar_tune.training.schedules.step import Step
from cifar_tune.training.schedules.warm_restarts import WarmRestarts

LR = 0.3


def optimizer(momentum=0.9, lr=LR):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=momentum)


def curve_of_torch(scheduler, steps):
    """Returns (lr, momentum) of every step as torch sets them."""
    values = []
    for step in range(steps):
        if step:
            scheduler.optimizer.step()
            scheduler.step()
        group = scheduler.optimizer.param_groups[0]
        values.append((group["lr"], group["momentum"]))
    return values


def curve(schedule: Schedule, steps, steps_per_epoch):
    settings = [schedule.at(step, steps, steps_per_epoch) for step in range(steps)]
    return [(LR * s.lr_factor, 0.9 if s.momentum is None else s.momentum) for s in settings]


def flat(pairs):
    return [value for pair in pairs for value in pair]


@pytest.mark.parametrize("total", [4, 5, 10, 101, 1000])
@pytest.mark.parametrize("rise", [0.3, 0.5, 0.45])
@pytest.mark.parametrize("cycle_momentum", [True, False])
def test_onecycle_equals_torch_step_by_step(total, rise, cycle_momentum):
    ours = OneCycle(rise=rise, start_divisor=10.0, final_divisor=100.0, cycle_momentum=cycle_momentum)
    theirs = lr_scheduler.OneCycleLR(
        optimizer(),
        max_lr=LR,
        total_steps=total,
        pct_start=rise,
        cycle_momentum=cycle_momentum,
        div_factor=10,
        final_div_factor=100,
    )
    assert flat(curve(ours, total, 10)) == pytest.approx(flat(curve_of_torch(theirs, total)), rel=1e-12, abs=1e-15)


def test_onecycle_by_default_has_the_published_shape():
    first, *_, last = (OneCycle().at(step, 1000, 10) for step in range(1000))
    assert (first.lr_factor, first.momentum) == pytest.approx((1 / 25, 0.95))
    assert (last.lr_factor, last.momentum) == pytest.approx((1 / 25 / 1e4, 0.95))
    peak = OneCycle().at(299, 1000, 10)
    assert (peak.lr_factor, peak.momentum) == pytest.approx((1, 0.85))


@pytest.mark.parametrize("final", [0.0, 0.01])
def test_cosine_equals_torch_step_by_step(final):
    theirs = lr_scheduler.CosineAnnealingLR(optimizer(), T_max=90, eta_min=final * LR)
    assert flat(curve(Cosine(final=final), 90, 9)) == pytest.approx(flat(curve_of_torch(theirs, 90)), abs=1e-12)


@pytest.mark.parametrize(("epochs", "factor"), [(3, 1), (2, 2), (1, 3)])
def test_warm_restarts_equal_torch_step_by_step(epochs, factor):
    ours = WarmRestarts(period_epochs=epochs, period_factor=factor, final=0.1)
    theirs = lr_scheduler.CosineAnnealingWarmRestarts(optimizer(), T_0=epochs * 7, T_mult=factor, eta_min=0.1 * LR)
    assert flat(curve(ours, 20 * 7, 7)) == pytest.approx(flat(curve_of_torch(theirs, 20 * 7)), abs=1e-12)


def test_step_every_few_epochs_equals_torch():
    theirs = lr_scheduler.StepLR(optimizer(), step_size=3 * 7, gamma=0.2)
    assert flat(curve(Step(every=3, gamma=0.2), 70, 7)) == pytest.approx(flat(curve_of_torch(theirs, 70)))


def test_step_with_milestones_equals_torch():
    theirs = lr_scheduler.MultiStepLR(optimizer(), milestones=[2 * 7, 3 * 7, 8 * 7], gamma=0.2)
    ours = Step(milestones=(2, 3, 8), gamma=0.2)
    assert flat(curve(ours, 70, 7)) == pytest.approx(flat(curve_of_torch(theirs, 70)))


def test_warm_up_and_cosine_equal_torch_in_sequence():
    sgd = optimizer()
    parts = [
        lr_scheduler.LinearLR(sgd, start_factor=0.1, total_iters=2 * 7),
        lr_scheduler.CosineAnnealingLR(sgd, T_max=8 * 7),
    ]
    theirs = curve_of_torch(lr_scheduler.SequentialLR(sgd, parts, milestones=[2 * 7]), 70)
    assert flat(curve(Cosine(warmup_epochs=2.0), 70, 7)) == pytest.approx(flat(theirs), abs=1e-12)


def test_warm_up_of_a_constant_equals_torch():
    theirs = curve_of_torch(lr_scheduler.LinearLR(optimizer(), start_factor=0.25, total_iters=21), 70)
    assert flat(curve(Constant(warmup_epochs=3.0, warmup_start=0.25), 70, 7)) == pytest.approx(flat(theirs))


def test_milestones_count_from_the_start_of_training():
    schedule = Step(milestones=(5,), warmup_epochs=2.0)
    factors = [schedule.at(step, 100, 10).lr_factor for step in (49, 50)]
    assert factors == pytest.approx([1, 0.1])
