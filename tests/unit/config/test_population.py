"""What population based training takes of a sweep file, and what it refuses before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.schedulers import Pbt
from cifar_tune.errors import ConfigError

SWEEP = """\
name: a
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  augmentations: [{name: crop, padding: 1}]
  optimizer: {name: sgd, lr: 0.1}
  ema: {decay: 0.9}
  epochs: 30
"""
CAN = (
    "it can perturb optimizer.lr and the optimizer's other numbers, ema.decay, and what is in schedule, loss, "
    "augmentations, sam, clip"
)


def problems(tmp_path: Path, lines: str) -> list[str]:
    path = tmp_path / "a.yaml"
    path.write_text(SWEEP + lines)
    with pytest.raises(ConfigError) as caught:
        load_sweep(path)
    return [str(one).removeprefix(f"{path}:") for one in caught.value.problems]


def test_what_weights_do_not_depend_on_is_perturbed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        f"{SWEEP}scheduler: {{name: pbt, population: 8}}\n"
        "search:\n"
        "  optimizer.lr: {float: [0.001, 1.0], log: true}\n"
        "  optimizer.nesterov: {choice: [true, false]}\n"
        "  optimizer.momentum: {float: [0.5, 0.99]}\n"
        "  augmentations.crop.padding: {int: [1, 3]}\n"
        "  loss.label_smoothing: {float: [0.0, 0.2]}\n"
        "  ema.decay: {float: [0.9, 0.99]}\n"
        "  sam: {choice: [null, {rho: 0.05}]}\n"
    )
    sweep = load_sweep(tmp_path / "a.yaml")
    assert sweep.trials_per_study == 8
    assert sweep.scheduler == Pbt(population=8, interval_epochs=3, quantile=0.25)


def test_what_a_copied_trial_is_made_of_cannot_be_perturbed(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "scheduler: {name: pbt}\n"
        "search:\n"
        "  model.width: {int: [4, 8]}\n"
        "  batch_size: {int: [32, 128], step: 32}\n"
        "  optimizer: {choice: [{name: sgd, lr: 0.1}, {name: adamw, lr: 0.01}]}\n"
        "  ema: {choice: [null, {decay: 0.9}]}\n"
        "  loss.label_smoothing: {float: [0.0, 0.2]}\n",
    )
    message = f"pbt cannot perturb it, since a copied trial goes on with it; {CAN}"
    assert found == [
        f"11:3: search.model.width: {message}",
        f"12:3: search.batch_size: {message}",
        f"13:3: search.optimizer: {message}",
        f"14:3: search.ema: {message}",
    ]


def test_there_must_be_something_to_perturb_and_somebody_to_compare_with(tmp_path: Path) -> None:
    assert problems(tmp_path, "scheduler: {name: pbt}\ntrials_per_study: 1\n") == [
        f"9:19: scheduler.name: pbt has nothing to perturb: `search` is empty; {CAN}",
        "10:19: trials_per_study: is the population of pbt; must be at least 2, got 1",
    ]


def test_a_study_is_one_population_with_an_interval_inside_its_epochs(tmp_path: Path) -> None:
    lines = "search: {optimizer.lr: {float: [0.001, 1.0]}}\n"
    lines += "scheduler: {name: pbt, population: 8, interval_epochs: 30}\ntrials_per_study: 16\n"
    assert problems(tmp_path, lines) == [
        "10:36: scheduler.population: a study is one population: must be trials_per_study, which is 16, or left out, "
        "got 8",
        "10:56: scheduler.interval_epochs: must be less than trial.epochs, which is 30, got 30",
    ]


def test_problems_inside_parts_do_not_hide_those_between_them(tmp_path: Path) -> None:
    lines = "search: {model.width: {int: [4, 8]}}\nscheduler: {name: pbt, quantile: 0.7}\n"
    assert [one.split(": ")[1] for one in problems(tmp_path, lines)] == ["search.model.width", "scheduler.quantile"]
