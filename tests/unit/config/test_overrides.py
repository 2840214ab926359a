# ruff: noqa: E501 - one case a line
"""`--set KEY=VALUE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.samplers import Tpe

Write = Callable[..., Path]
Problems = Callable[..., list[str]]


def test_overrides_reach_every_part_of_a_sweep(write: Write) -> None:
    sweep = load_sweep(
        write(),
        [
            "trial.optimizer.weight_decay=1e-3",
            "trial.augmentations.crop.mode=reflect",
            "trial.ema.decay=0.99",
            "trial.evaluation.mirror=true",
            "seed=11",
            "scheduler.grace_epochs=2",
            "grid.model.activation=[relu, silu, gelu]",
            "grid.model.width=null",
            "search.optimizer.lr={float: [0.01, 0.5]}",
            "search.model.dropout={float: [0.0, 0.5]}",
            "search.sam=null",
            "resources={}",
        ],
    )
    trial = sweep.trial.model_dump()
    assert trial["optimizer"]["weight_decay"] == 0.001
    assert trial["augmentations"][1] == {"name": "crop", "padding": 4, "mode": "reflect"}
    assert trial["ema"] == {"decay": 0.99}
    assert trial["evaluation"]["mirror"] is True
    assert (trial["seed"], sweep.seed) == (11, 11)
    assert {"name": "asha", "grace_epochs": 2, "reduction_factor": 4}.items() <= sweep.scheduler.model_dump().items()
    assert sweep.grid == {"model.activation": ("relu", "silu", "gelu")}
    assert list(sweep.search) == [
        "optimizer.lr",
        "batch_size",
        "augmentations.crop.padding",
        "schedule",
        "model.dropout",
    ]
    assert sweep.resources.gpus == "auto"


def test_a_component_left_to_its_default_can_be_set_into(write: Write) -> None:
    text = "name: x\ntrial: {dataset: {name: digits}, model: {name: resnet18}, optimizer: {name: sgd, lr: 0.1}, epochs: 2}\n"
    sweep = load_sweep(
        write(text=text),
        ["trial.schedule.rise=0.2", "sampler.n_startup_trials=3", "trial.loss.label_smoothing=0.1"],
    )
    assert sweep.trial.schedule.model_dump()["rise"] == 0.2
    assert sweep.trial.loss.model_dump()["label_smoothing"] == 0.1
    assert sweep.sampler == Tpe(n_startup_trials=3)


def test_later_overrides_build_on_earlier_ones(write: Write) -> None:
    sweep = load_sweep(write(), ["trial.optimizer={name: adamw, lr: 0.01}", "trial.optimizer.beta1=0.8"])
    assert sweep.trial.optimizer.model_dump()["beta1"] == 0.8


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trial.optimizer.lr=-1", "--set trial.optimizer.lr=-1: trial.optimizer.lr: must be a number above 0, got -1"),
        ("trial.optimizer.lrr=1", "--set trial.optimizer.lrr=1: trial.optimizer.lrr: unknown key `lrr`; did you mean `lr`? allowed: "),
        ("trail.epochs=1", "--set trail.epochs=1: trail.epochs: unknown key `trail`; did you mean `trial`? allowed: "),
        ("trial.optimizr.lr=1", "--set trial.optimizr.lr=1: trial.optimizr: unknown key `optimizr`; did you mean `optimizer`?"),
        ("epochs=1", "--set epochs=1: epochs: unknown key `epochs`; did you mean `trial.epochs`?"),
        ("trial.optimizer={name: adamw}", "--set trial.optimizer={name: adamw}: trial.optimizer.lr: missing; must be a number above 0"),
        ("trial.augmentations.cutout.p=1", "--set trial.augmentations.cutout.p=1: trial.augmentations.cutout.p: `trial.augmentations` holds no `cutout`; it holds flip, crop"),
        ("search.optimizer.lr=[0, 1]", "--set search.optimizer.lr=[0, 1]: search.optimizer.lr: a searched parameter must be "),
        ("search.optimizer.lr={float: [-1, 1]}", "--set search.optimizer.lr={float: [-1, 1]}: search.optimizer.lr: must be a number above 0, got -1.0"),
        ("search.optimizer.eps=null", "--set search.optimizer.eps=null: search.optimizer.eps: `search` has no `optimizer.eps` to take out"),
        ("grid.model.activation=[relu]", "--set grid.model.activation=[relu]: grid.model.activation: the axis holds the one value relu"),
        ("grid.batch_size=[64, 128]", "search.batch_size: stands in `grid.batch_size` already"),
        ("trial.epochs", "--set trial.epochs: must be KEY=VALUE, such as trial.epochs=5"),
        ("=3", "--set =3: must be KEY=VALUE"),
        ("trial.epochs=[1", "--set trial.epochs=[1: not YAML: "),
        ("trial.ema={a: 1, a: 2}", "--set trial.ema={a: 1, a: 2}: a: the key stands here twice"),
        ("trial.epochs=2", "sweep.yaml:57:17: scheduler.grace_epochs: must be at most trial.epochs, which is 2, got 3"),
    ],
)  # fmt: skip
def test_a_problem_in_an_override_names_the_override(problems: Problems, override: str, expected: str) -> None:
    change = ("  reduction_factor: 4", "  grace_epochs: 3") if override == "trial.epochs=2" else ("seed: 3", "seed: 3")
    found = problems(change, overrides=(override,))
    assert len(found) == 1
    assert expected in found[0]


def test_problems_of_overrides_follow_those_of_the_file(problems: Problems) -> None:
    found = problems(("    lr: 0.1", "    lr: 0"), overrides=("trial.epochs=0", "trial.optimizer.momentum=3"))
    assert [line.split(": ")[0] for line in found] == [
        "sweep.yaml:21:9",
        "--set trial.epochs=0",
        "--set trial.optimizer.momentum=3",
    ]
