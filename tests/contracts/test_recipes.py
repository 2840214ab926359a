"""The five systems' recipes: each loads, says what it costs and gives, and every command in its header works."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from cifar_tune.config.load import load_trial
from cifar_tune.training.check import check_trial
from cifar_tune.training.epochs import trial_epochs

TRIALS = Path(__file__).parents[2] / "trials"
RECIPES = sorted(TRIALS.glob("*.yaml"))
SYSTEMS = {"mininet", "tgn", "resnet18", "resnet34", "ternary_resnet18"}
SMALL = (
    "dataset.train_size=1000",
    "dataset.validation_fraction=0.2",
    "model.width=4",
    "schedule.warmup_epochs=0",
    "batch_size=50",
    "epochs=1",
)

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def header(recipe: Path) -> list[str]:
    return [line.removeprefix("#") for line in recipe.read_text().split("\n\n")[0].splitlines()]


def test_every_system_has_its_recipe() -> None:
    assert sorted(load_trial(recipe).model.name for recipe in RECIPES) == sorted(SYSTEMS)


@every_recipe
def test_a_recipe_says_what_it_is_what_it_costs_what_to_expect_and_whose_it_is(recipe: Path) -> None:
    text = "\n".join(header(recipe))
    assert re.findall(r"^ (\w+): ", text, re.MULTILINE) == ["System", "Cost", "Expect", "Source"]
    assert f"python -m cifar_tune.train trials/{recipe.name}" in text


@every_recipe
def test_the_variants_in_its_header_can_be_trained(recipe: Path) -> None:
    variants = [line.strip() for line in header(recipe) if line.strip().startswith("... ")]
    assert variants
    plain = load_trial(recipe)
    for variant in variants:
        words = shlex.split(re.split(r"\s{2,}", variant)[0])
        overrides = [after for before, after in pairwise(words) if before == "--set"]
        trial = load_trial(recipe, overrides)
        assert trial != plain
        if trial.dataset.name != "food101":  # whose classes stand in its files
            check_trial(trial, trial.dataset.info(Path()))


@pytest.mark.realdata
@pytest.mark.slow
@every_recipe
def test_a_small_version_trains_an_epoch_on_real_images(recipe: Path, real_data: Path) -> None:
    small = [*SMALL, "dataset.resolution=64"] if "food101" in recipe.name else SMALL
    trial = load_trial(recipe, small)
    (metrics,) = trial_epochs(trial, root=real_data, device="cpu")
    assert 0 < metrics.train_loss < 10
    assert metrics.validation_accuracy is not None
    print(f"{recipe.stem}: train loss {metrics.train_loss:.2f}, validation accuracy {metrics.validation_accuracy:.3f}")
