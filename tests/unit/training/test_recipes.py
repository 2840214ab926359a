"""The trial files of the five published systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.load import load_trial
from cifar_tune.training.check import check_trial
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.flops import count_parameters

TRIALS = Path(__file__).parents[3] / "trials"
PARAMETERS = {
    "mininet_food101": 541_253,
    "resnet18_cifar100": 11_220_132,
    "resnet34_cifar100": 21_328_292,
    "ternary_resnet18_cifar10": 11_173_962,
    "tgn_cifar100": 16_609_720,
}


def test_every_system_has_a_recipe_and_every_recipe_a_system() -> None:
    assert sorted(path.stem for path in TRIALS.glob("*.yaml")) == sorted(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_is_complete_and_its_model_as_large_as_published(name: str) -> None:
    trial = load_trial(TRIALS / f"{name}.yaml")
    classes = {"cifar10": 10, "cifar100": 100, "food101": 101}[trial.dataset.name]
    coarse = tuple(label // 5 for label in range(100)) if trial.dataset.name == "cifar100" else None
    info = DatasetInfo(
        class_names=tuple(map(str, range(classes))),
        channels=3,
        resolution=trial.dataset.resolution,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        train_images=75_750 if trial.dataset.name == "food101" else 50_000,
        coarse_names=None if coarse is None else tuple(map(str, range(20))),
        coarse_of_fine=coarse,
    )
    check_trial(trial, info)
    assert count_parameters(trial.model, info) == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_says_what_it_costs_and_what_it_should_reach(name: str) -> None:
    header = (TRIALS / f"{name}.yaml").read_text(encoding="utf-8").split("\n\n")[0]
    for word in ("# System:", "# Cost:", "# Expect:", "# Source:", f"python -m cifar_tune.train trials/{name}.yaml"):
        assert word in header
