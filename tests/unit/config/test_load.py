"""Sweep and trial files as they are read, and what each kind of mistake gets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep, load_trial
from cifar_tune.errors import ConfigError

Write = Callable[..., Path]
Problems = Callable[..., list[str]]

TRIAL = """\
dataset: {name: digits}
model: {name: resnet18, width: 8}
optimizer: {name: sgd, lr: 0.1}
epochs: 2
"""


def test_the_sound_sweep_loads_with_what_follows_from_its_values(write: Write) -> None:
    sweep = load_sweep(write())
    assert sweep.trial.seed == sweep.seed == 3
    assert sweep.objective.mode == "min"
    assert getattr(sweep.scheduler, "grace_epochs", None) == 3
    assert sweep.header == "Question: does it load?\nCost: nothing."


def test_a_trial_that_says_its_own_seed_keeps_it(write: Write) -> None:
    assert load_sweep(write(("  epochs: 30", "  epochs: 30\n  seed: 7"))).trial.seed == 7


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    momentum: 0.9",
            "    momentun: 0.9",
            "sweep.yaml:22:5: trial.optimizer.momentun: unknown key `momentun`; did you mean `momentum`? allowed: "
            "decay_norms_and_biases, lr, momentum, name, nesterov, weight_decay",
        ),
        (
            "sampler:",
            "samplers:",
            "sweep.yaml:52:1: samplers: unknown key `samplers`; did you mean `sampler`? allowed: ",
        ),
        (
            "    name: mininet",
            "    name: mininett",
            "sweep.yaml:11:11: trial.model.name: unknown model `mininett`; did you mean `mininet`? allowed: ",
        ),
        (
            "    name: sgd",
            "    nmae: sgd",
            "sweep.yaml:20:5: trial.optimizer.nmae: unknown key `nmae`; did you mean `name`?",
        ),
        ("    name: sgd\n", "", "sweep.yaml:19:3: trial.optimizer.name: missing; must be adam, "),
        ("    lr: 0.1\n", "", "sweep.yaml:19:3: trial.optimizer.lr: missing; must be a number above 0"),
        ("  epochs: 30\n", "", "sweep.yaml:6:1: trial.epochs: missing; must be a whole number of at least 1"),
        ("name: sound\n", "", "sweep.yaml:4:1: name: missing; must be up to 100 letters, digits, "),
        (
            "    lr: 0.1",
            "    lr: '0.1'",
            "sweep.yaml:21:9: trial.optimizer.lr: must be a number above 0, got the text '0.1'",
        ),
        ("    lr: 0.1", "    lr: 0", "sweep.yaml:21:9: trial.optimizer.lr: must be a number above 0, got 0"),
        ("    lr: 0.1", "    lr:", "sweep.yaml:21:5: trial.optimizer.lr: must be a number above 0, got nothing (null)"),
        (
            "seed: 3\n",
            "seed: 9223372036854775808\n",
            "sweep.yaml:5:7: seed: the number is too large; whole numbers go to 9223372032559808512",
        ),
        (
            "    lr: 0.1\n",
            "    lr: 0.1\n    wd: 1e-4\n",
            "sweep.yaml:22:5: trial.optimizer.wd: unknown key `wd`; did you mean `weight_decay`? allowed: ",
        ),
        ("    lr: 0.1", "    lr: .inf", "sweep.yaml:21:9: trial.optimizer.lr: must be a number above 0, got inf"),
        (
            "    lr: 0.1",
            "    lr: 1e39",
            "sweep.yaml:21:9: trial.optimizer.lr: must be at most 3.4e+38, where float32 ends, got 1e+39",
        ),
        ("    lr: 0.1", "    lr: [0.1]", "sweep.yaml:21:9: trial.optimizer.lr: must be a number above 0, got a list"),
        ("    lr: 0.1", "    lr: true", "sweep.yaml:21:9: trial.optimizer.lr: must be a number above 0, got true"),
        ("  epochs: 30", "  epochs: 3.5", "trial.epochs: must be a whole number of at least 1, got 3.5"),
        ("  epochs: 30", "  channels_last: no\n  epochs: 30", "must be true or false, got the text 'no'"),
        ("  epochs: 30", "  compile: 3\n  epochs: 30", "trial.compile: must be auto, true or false, got 3"),
        (
            "  epochs: 30",
            "  precision: fp16\n  epochs: 30",
            "must be auto, float32, tf32, bfloat16 or float16, got the",
        ),
        ("  epochs: 30", "  ema: 0.9\n  epochs: 30", "trial.ema: must be a mapping (decay) or null, got 0.9"),
        (
            "  batch_size: 128",
            "  batch_size: 129",
            "sweep.yaml:24:17: trial.accumulation: accumulation 2 does not divide batch_size 129",
        ),
        ("    activation: mish", "    activation: mush", "trial.model.activation: must be relu, relu6, "),
        (
            "    - name: flip\n",
            "    - flip\n",
            "sweep.yaml:14:7: trial.augmentations.0: must be a mapping whose `name` is ",
        ),
        ("  model:\n    name: mininet\n    activation: mish\n", "  model: mininet\n", "; write {name: mininet}"),
        ("  model:\n    name: mininet\n    activation: mish\n", "  model: []\n", "got an empty list"),
        ("  gpus: 0.5", "  gpus: -1", "resources.gpus: must be auto or a number of at least 0, got -1"),
        ("name: sound", "name: a/b", "sweep.yaml:4:7: name: must be up to 100 letters, digits, "),
        (
            "trials_per_study: 12",
            "trials_per_study: 0",
            "trials_per_study: must be a whole number of at least 1, got 0",
        ),
        (
            "  metric: validation_loss",
            "  metric: validation_loss\n  mode: max",
            "sweep.yaml:52:9: objective.mode: validation_loss is better the lower it is; must be min, got max",
        ),
        (
            "  metric: validation_loss",
            "  metric: accuracy",
            "objective.metric: unknown metric `accuracy`; did you mean `validation_accuracy`? allowed: ",
        ),
        (
            "  reduction_factor: 4",
            "  grace_epochs: 31",
            "sweep.yaml:57:17: scheduler.grace_epochs: must be at most trial.epochs, which is 30, got 31",
        ),
        (
            "  reduction_factor: 4",
            "  reduction_factor: 4\n  brackets: 4",
            "scheduler.brackets: must be at most 3, one more than the rungs (rungs at epochs 3, 12), got 4",
        ),
        ("  name: tpe", "  name: tpee", "sampler.name: unknown sampler `tpee`; did you mean `tpe`? allowed: "),
        (
            "seed: 3\n",
            "seed: three\n",
            "seed: must be a whole number of at least 0 and at most 9223372032559808512, got the text 'three'",
        ),
    ],
)
def test_a_mistake_gets_one_message_at_its_place(problems: Problems, old: str, new: str, expected: str) -> None:
    found = problems((old, new))
    assert len(found) == 1
    assert expected in found[0]


def test_all_problems_are_reported_at_once_in_file_order(problems: Problems) -> None:
    found = problems(
        ("seed: 3\n", "seed: -1\nseed: 2\n"),
        ("    lr: 0.1", "    lr: -1"),
        ("[relu, mish]", "[relu]"),
        ("[1e-3, 1.0]", "[-1.0, 1.0]"),
        ("    log: true\n", ""),
        ("    int: [1, 8]", "    int: [9, 8]"),
        ("  metric: validation_loss", "  metric: loss"),
        ("  reduction_factor: 4", "  grace_epochs: 40"),
        ("  gpus: 0.5", "  gpu: 1"),
    )
    assert [line.split(": ")[1] for line in found] == [
        "seed",
        "seed",
        "trial.optimizer.lr",
        "grid.model.activation",
        "search.optimizer.lr",
        "search.augmentations.crop.padding",
        "objective.metric",
        "scheduler.grace_epochs",
        "resources.gpu",
    ]


def test_a_trial_file_and_the_trial_of_a_sweep_are_read_alike(write: Write) -> None:
    trial = load_trial(write(text=TRIAL))
    assert (trial.epochs, trial.seed) == (2, 0)
    indented = "".join(f"  {line}\n" for line in TRIAL.splitlines())
    assert load_trial(write(text=f"name: x\nseed: 5\ntrial:\n{indented}")) == trial.model_copy(update={"seed": 5})


def test_a_trial_of_a_sweep_is_read_whatever_the_rest_of_the_sweep_says(write: Write) -> None:
    path = write(("  reduction_factor: 4", "  grace_epochs: 30"))
    assert load_trial(path, ["epochs=1", "trial.optimizer.lr=0.5", "seed=9"]).model_dump(
        include={"epochs", "seed", "optimizer"}
    ) == {"epochs": 1, "seed": 9, "optimizer": {**load_trial(path).optimizer.model_dump(), "lr": 0.5}}


def test_a_trial_files_problems_are_named_without_the_key_it_does_not_have(write: Write) -> None:
    path = write(text=TRIAL.replace("lr: 0.1", "lr: 0, lrr: 1"))
    with pytest.raises(ConfigError) as caught:
        load_trial(path, ["scheduler.grace_epochs=1"])
    low, unknown, override = str(caught.value).splitlines()
    assert low == f"{path}:3:28: optimizer.lr: must be a number above 0, got 0"
    assert unknown.startswith(f"{path}:3:31: optimizer.lrr: unknown key `lrr`; did you mean `lr`?")
    assert override.startswith(
        "--set trial.scheduler.grace_epochs=1: scheduler: unknown key `scheduler`; did you mean `sc"
    )


def test_reading_a_sweep_is_fast_and_needs_no_heavy_library(write: Write) -> None:
    code = (
        "import sys, time; start = time.process_time()\n"
        "from pathlib import Path; from cifar_tune.config.load import load_sweep\n"
        f"load_sweep(Path({str(write())!r}))\n"
        "heavy = {'torch', 'torchvision', 'ray', 'optuna', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "print(time.process_time() - start, heavy or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.split()
    assert heavy == "none"
    assert float(seconds) < 3  # of one core, as promised; 0.3 to 0.5 s measured, 1.6 s where 20 others compute


@pytest.mark.parametrize("name", sorted(path.name for path in Path("sweeps").glob("*.yaml")))
def test_the_sweeps_that_come_with_the_project_load_and_say_what_they_cost(name: str) -> None:
    sweep = load_sweep(Path("sweeps") / name)
    assert sweep.name == Path(name).stem
    for word in ("Question: ", "Cost: ", "Expect: "):
        assert word in sweep.header
