"""A schedule's setting, applied to optimizers of every kind."""

from __future__ import annotations

import pytest
import torch

from cifar_tune.training.optimizers.adamw import AdamW
from cifar_tune.training.optimizers.muon import Muon
from cifar_tune.training.optimizers.rmsprop import RmsProp
from cifar_tune.training.optimizers.setting import apply_setting
from cifar_tune.training.optimizers.sgd import Sgd
from cifar_tune.training.schedules import Setting


def net():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))


def test_it_scales_the_peak_and_not_the_present_lr():
    optimizer = Sgd(lr=0.4).build(net())
    for factor in (0.5, 0.5, 0.25):
        apply_setting(optimizer, Setting(factor))
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.4 * factor])


def test_groups_keep_their_ratio():
    optimizer = Muon(lr=0.02, rest=AdamW(lr=0.001)).build(net(), ("2.",))
    apply_setting(optimizer, Setting(0.1))
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.002, 0.0001])


def test_momentum_is_cycled_where_there_is_some():
    for schema, key in ((Sgd(lr=0.1), "momentum"), (RmsProp(lr=0.1, momentum=0.5), "momentum")):
        optimizer = schema.build(net())
        apply_setting(optimizer, Setting(1.0, 0.87))
        assert optimizer.param_groups[0][key] == 0.87
    optimizer = AdamW(lr=0.1, beta2=0.99).build(net())
    apply_setting(optimizer, Setting(1.0, 0.87))
    assert optimizer.param_groups[0]["betas"] == (0.87, 0.99)


def test_without_momentum_in_the_setting_it_stays():
    optimizer = Sgd(lr=0.1, momentum=0.7).build(net())
    apply_setting(optimizer, Setting(1.0))
    assert optimizer.param_groups[0]["momentum"] == 0.7


def test_momentum_zero_is_not_cycled():
    optimizer = Sgd(lr=0.1, momentum=0.0).build(net())
    apply_setting(optimizer, Setting(1.0, 0.9))
    assert optimizer.param_groups[0]["momentum"] == 0


def test_both_of_muons_rules_are_cycled():
    optimizer = Muon(lr=0.02).build(net(), ("2.",))
    apply_setting(optimizer, Setting(1.0, 0.87))
    hidden, rest = optimizer.param_groups
    assert (hidden["momentum"], rest["betas"][0]) == (0.87, 0.87)
