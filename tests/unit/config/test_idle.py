"""A momentum that the schedule overwrites is refused where it is written, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.cli.arguments import is_recorded
from cifar_tune.config.load import load_sweep, load_trial
from cifar_tune.errors import ConfigError
from cifar_tune.results import ResultsStore

SWEEP = """\
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 3
"""
SEARCHED = "search: {optimizer.lr: {float: [0.1, 1.0]}}\n"
MESSAGE = "`schedule.cycle_momentum` sets the momentum: set it false, or do not give `"
OPTIMIZERS = "{name: adam, lr: 0.1, beta1: 0.8}, {name: sgd, lr: 0.1}"

NESTEROV = "trial.optimizer.nesterov"

Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def written(text: str) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def refused(path: Path, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_sweep(path, overrides, new=True)
    return [line.removeprefix(f"{path.parent}/") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("overrides", "where", "key"),
    [
        ("trial.optimizer.momentum=0.9", "trial.optimizer.momentum", "optimizer.momentum"),
        ("trial.optimizer={name: adam, lr: 0.1, beta1: 0.0}", "trial.optimizer.beta1", "optimizer.beta1"),
        (
            "trial.optimizer={name: muon, lr: 0.1, rest: {name: sgd, lr: 0.1, momentum: 0.5}}",
            "trial.optimizer.rest.momentum",
            "optimizer.rest.momentum",
        ),
        ("search.optimizer.momentum={float: [0.0, 0.9]}", "search.optimizer.momentum", "optimizer.momentum"),
        ("grid.optimizer.momentum=[0.5, 0.9]", "grid.optimizer.momentum", "optimizer.momentum"),
        (f"grid.optimizer=[{OPTIMIZERS}]", "grid.optimizer.0.beta1", "optimizer.beta1"),
        (f"search.optimizer={{choice: [{OPTIMIZERS}]}}", "search.optimizer.choice.0.beta1", "optimizer.beta1"),
    ],
)
def test_a_momentum_that_the_schedule_sets_is_refused_wherever_it_is_given(
    written: Written, overrides: str, where: str, key: str
) -> None:
    assert refused(written(SWEEP), (overrides,)) == [f"--set {overrides}: {where}: {MESSAGE}{key}`"]


def test_the_message_names_the_line_of_the_key(written: Written) -> None:
    given = SWEEP.replace("lr: 0.1}", "lr: 0.1, momentum: 0.9}")
    assert refused(written(given))[0].startswith("small.yaml:5:35: trial.optimizer.momentum: `schedule.")
    with pytest.raises(ConfigError, match="cycle_momentum"):
        load_trial(written(given), new=True)


@pytest.mark.parametrize(
    "override",
    [
        "trial.schedule={name: cosine}",
        "trial.schedule.cycle_momentum=false",
        "grid.schedule=[{name: onecycle}, {name: cosine}]",
        "search.schedule={choice: [{name: cosine}, {name: onecycle}]}",
        "grid.schedule.cycle_momentum=[true, false]",
    ],
)
def test_a_momentum_that_some_trial_can_train_with_is_taken(written: Written, override: str) -> None:
    load_sweep(written(SWEEP + SEARCHED), ["trial.optimizer.momentum=0.8", override], new=True)


@pytest.mark.parametrize("override", ["trial.optimizer.momentum=0", "grid.optimizer.momentum=[0, 0.9]"])
def test_no_momentum_is_a_setting_of_effect_under_a_cycle(written: Written, override: str) -> None:
    load_sweep(written(SWEEP + SEARCHED), [override], new=True)


def test_alternatives_that_all_cycle_are_no_excuse(written: Written) -> None:
    overrides = ("trial.optimizer.momentum=0.8", "grid.schedule=[{name: onecycle}, {name: onecycle, rise: 0.5}]")
    assert len(refused(written(SWEEP), overrides)) == 1


def test_a_sweep_that_was_begun_with_such_a_momentum_stays_readable(written: Written) -> None:
    sweep = load_sweep(written(SWEEP), ["trial.optimizer.momentum=0.8"])
    assert load_sweep(written(sweep.to_yaml())) == sweep


@pytest.mark.parametrize("path", sorted([*Path("sweeps").glob("*.yaml"), *Path("trials").glob("*.yaml")]), ids=str)
def test_no_file_of_the_project_gives_a_setting_without_effect(path: Path) -> None:
    if path.parent.name == "sweeps":
        load_sweep(path, new=True)
    load_trial(path, new=True)


def test_the_file_of_a_results_folder_which_holds_every_default_can_begin_a_sweep(
    written: Written, tmp_path: Path
) -> None:
    sweep = load_sweep(written(SWEEP + SEARCHED), new=True)
    folder = tmp_path / "results"
    ResultsStore.create(folder, sweep_name=sweep.name).close()
    recorded = folder / "sweep.yaml"
    recorded.write_text(sweep.to_yaml(), encoding="utf-8")
    assert not is_recorded(written(SWEEP + SEARCHED))
    assert is_recorded(recorded)
    assert load_sweep(recorded, new=not is_recorded(recorded)) == sweep


@pytest.mark.parametrize(
    ("overrides", "where", "other"),
    [
        (("trial.schedule.warmup_start=0.5",), "trial.schedule.warmup_start", "schedule.warmup_epochs"),
        (
            ("search.schedule.warmup_start={float: [0.1, 0.5]}",),
            "search.schedule.warmup_start",
            "schedule.warmup_epochs",
        ),
        (
            ("trial.schedule.cycle_momentum=false", "grid.schedule.low_momentum=[0.5, 0.8]"),
            "grid.schedule.low_momentum",
            "schedule.cycle_momentum",
        ),
        (
            ("trial.optimizer.momentum=0", "search.optimizer.nesterov={choice: [true, false]}"),
            "search.optimizer.nesterov",
            "optimizer.momentum",
        ),
        (
            ("grid.optimizer=[{name: adam, lr: 0.1}, {name: muon, lr: 0.1, decay_norms_and_biases: false}]",),
            "grid.optimizer.1.decay_norms_and_biases",
            "optimizer.rest",
        ),
        (("trial.optimizer={name: sgd, lr: 0.1, momentum: 0, nesterov: true}",), NESTEROV, "optimizer.momentum"),
        (
            ("search.optimizer={choice: [{name: adam, lr: 0.1}, {name: sgd, lr: 0.1, momentum: 0, nesterov: true}]}",),
            "search.optimizer.choice.1.nesterov",
            "optimizer.momentum",
        ),
        (("trial.evaluation.weights=ema",), "trial.evaluation.weights", "ema"),
        (("grid.evaluation.weights=[ema, raw]",), "grid.evaluation.weights", "ema"),
        (("trial.evaluation.weights=raw", "search.ema.decay={float: [0.9, 0.99]}"), "search.ema.decay", "evaluation"),
        (("trial.sam={rho: 0, adaptive: true}",), "trial.sam.adaptive", "sam.rho"),
        (
            ("trial.dataset={name: huggingface, path: pets, test_seed: 3}",),
            "trial.dataset.test_seed",
            "dataset.test_split",
        ),
        (
            ("trial.augmentations=[{name: flip}, {name: cutout, p: 0}]", "grid.augmentations.cutout.size=[2, 4]"),
            "grid.augmentations.cutout.size",
            "augmentations.1.p",
        ),
        (("trial.schedule={name: step}", "grid.schedule.gamma=[0.1, 0.5]"), "grid.schedule.gamma", "epochs"),
        (
            ("trial.schedule={name: warm_restarts}", "search.schedule.period_factor={int: [1, 3]}"),
            "search.schedule.period_factor",
            "schedule.period_epochs",
        ),
    ],
)
def test_a_key_that_another_one_switches_off_is_refused_with_its_name(
    written: Written, overrides: tuple[str, ...], where: str, other: str
) -> None:
    [line] = refused(written(SWEEP), overrides)
    assert f" {where}: " in line
    assert f"`{other}" in line


@pytest.mark.parametrize(
    "overrides",
    [
        ("trial.schedule.warmup_start=0.1",),
        ("trial.schedule.warmup_start=0.5", "search.schedule.warmup_epochs={float: [0.0, 2.0]}"),
        ("grid.schedule.low_momentum=[0.5, 0.8]", "grid.schedule.cycle_momentum=[true, false]"),
        ("trial.optimizer.momentum=0", "trial.optimizer.nesterov=false"),
        ("search.optimizer.decay_norms_and_biases={choice: [true, false]}", "trial.optimizer.weight_decay=0.1"),
        ("trial.optimizer={name: sgd, lr: 0.1, momentum: 0, nesterov: true}", "grid.optimizer.momentum=[0, 0.9]"),
        ("trial.evaluation.weights=ema", "grid.ema=[null, {decay: 0.9}]"),
        ("trial.evaluation.weights=ema", "search.ema.decay={float: [0.9, 0.99]}"),
        ("trial.ema={decay: 0.9}", "grid.evaluation.weights=[ema, raw]"),
        ("trial.augmentations=[{name: cutout, size: 4, p: 0}]",),
        ("grid.augmentations=[[], [{name: affine, degrees: 9, padding: reflect}]]",),
        ("trial.augmentations=[{name: affine}]", "grid.augmentations.affine.shear=[0, 9]"),
        ("trial.schedule={name: step, gamma: 0.5}",),
        ("trial.schedule={name: step}", "grid.schedule.gamma=[0.1, 0.5]", "search.schedule.every={int: [1, 3]}"),
        ("trial.schedule={name: step}", "grid.schedule.gamma=[0.1, 0.5]", "trial.schedule.milestones=[1, 2]"),
    ],
)
def test_a_key_that_some_trial_can_train_by_is_taken(written: Written, overrides: tuple[str, ...]) -> None:
    load_sweep(written(SWEEP + SEARCHED), overrides, new=True)


def test_a_margin_of_cma_es_is_refused_in_a_conditional_space(written: Written) -> None:
    nested = "search.optimizer={choice: [{name: sgd, lr: {float: [0.1, 1.0]}}, {name: adam, lr: 0.1}]}"
    margin = "sampler={name: cmaes, with_margin: true}"
    [line] = refused(written(SWEEP), (nested, margin))
    assert ": sampler.with_margin: " in line
    load_sweep(written(SWEEP + SEARCHED), [margin], new=True)


@pytest.mark.parametrize(
    ("augmentation", "keys"),
    [
        ("{name: color_jitter}", ["name"]),
        ("{name: affine, padding: reflect}", ["name", "padding"]),
        ("{name: affine, degrees: 0}", ["name"]),
    ],
)
def test_an_augmentation_that_leaves_every_image_alone_is_refused(
    written: Written, augmentation: str, keys: list[str]
) -> None:
    lines = refused(written(SWEEP), (f"trial.augmentations=[{{name: flip}}, {augmentation}]",))
    assert [line.partition(": has no effect")[0].rpartition(".")[2] for line in lines] == keys


def test_a_split_seed_that_draws_nothing_is_refused_in_a_trial(written: Written) -> None:
    dataset = "trial.dataset={name: digits, validation_fraction: 0.0, split_seed: 1}"
    with pytest.raises(ConfigError, match="split_seed: has no effect"):
        load_trial(written(SWEEP), [dataset], new=True)
    load_trial(written(SWEEP), [dataset, "trial.dataset.train_size=500"], new=True)


def test_a_trial_is_read_whatever_the_grid_of_its_file_says(written: Written) -> None:
    """The command that trains it has no use for the grid, and does not check it."""
    grid = 'grid: {schedule.warmup_epochs: [x, null], schedule.final: 3, no.such.path: [1, 2], evaluation: [1, "x"]}\n'
    trial = "trial.schedule={name: cosine, warmup_start: 0.5}"
    assert load_trial(written(SWEEP + grid), [trial, "trial.ema={decay: 0.9}"], new=True).epochs == 3
