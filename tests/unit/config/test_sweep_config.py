"""The sweep as a record: cells, trials, proposals, YAML."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.load import load_sweep
from cifar_tune.config.proposals import draw
from cifar_tune.config.schedulers import default_grace
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError

TRIAL: dict[str, Any] = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18", "width": 8},
    "augmentations": [{"name": "crop", "padding": 1}],
    "optimizer": {"name": "sgd", "lr": 0.1},
    "epochs": 20,
}


def sweep(**changes: Any) -> SweepConfig:
    return SweepConfig.model_validate({"name": "s", "trial": TRIAL, **changes})


def test_cells_are_every_combination_in_file_order() -> None:
    cells = sweep(grid={"model.width": [8, 16], "ema": [None, {"decay": 0.9}]}).cells()
    assert cells == (
        {"model.width": 8, "ema": None},
        {"model.width": 8, "ema": {"decay": 0.9}},
        {"model.width": 16, "ema": None},
        {"model.width": 16, "ema": {"decay": 0.9}},
    )


def test_without_a_grid_there_is_one_empty_cell() -> None:
    assert sweep().cells() == ({},)


def test_trial_with_replaces_values_components_and_items_of_lists() -> None:
    trial = sweep().trial_with(
        {
            "augmentations.crop.padding": 2,
            "optimizer": {"name": "adamw", "lr": 0.01},
            "ema.decay": 0.99,
            "batch_size": 32,
        },
        seed=9,
    )
    flat = trial.model_dump()
    assert flat["augmentations"][0]["padding"] == 2
    assert flat["optimizer"]["name"] == "adamw"
    assert "momentum" not in flat["optimizer"]
    assert flat["ema"] == {"decay": 0.99}
    assert (trial.batch_size, trial.seed) == (32, 9)


def test_trial_with_puts_a_component_before_what_leads_into_it() -> None:
    trial = sweep().trial_with({"optimizer.lr": 0.5, "optimizer": {"name": "adamw", "lr": 0.01}})
    assert trial.optimizer.model_dump()["lr"] == 0.5


def test_trial_with_leaves_the_baseline_as_it_is() -> None:
    config = sweep()
    config.trial_with({"model.width": 64})
    assert config.trial.model.model_dump()["width"] == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer.lr": -1}, "trial.optimizer.lr: must be a number above 0, got -1"),
        ({"optimizer.lrr": 1}, "trial.optimizer.lrr: unknown key `lrr`; did you mean `lr`?"),
        ({"augmentations.flip.p": 1}, "trial: `augmentations` holds no `flip`; it holds crop"),
    ],
)
def test_values_that_make_no_trial_are_a_config_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep().trial_with(values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        (
            {"trial": {**TRIAL, "dataset": {"name": "digits", "validation_fraction": 0}}},
            "trial.dataset.validation_fraction",
        ),
        ({"grid": {"dataset.validation_fraction": [0, 0.5]}}, "grid.dataset.validation_fraction.0"),
    ],
)
def test_a_sweep_needs_validation_images_and_a_trial_does_not(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"{where}: a search needs validation images")):
        sweep(**changes)
    assert sweep().trial_with({"dataset.validation_fraction": 0}).dataset.validation_fraction == 0
    with pytest.raises(ConfigError, match="early_stopping needs validation images"):
        sweep().trial_with({"dataset.validation_fraction": 0, "early_stopping.patience": 2})


def test_a_sweep_built_in_python_is_checked_like_a_file() -> None:
    with pytest.raises(
        ValidationError, match=r"search\.model\.width: must be a whole number of at least 1 and at most 1048576, got 0"
    ):
        sweep(search={"model.width": {"int": [0, 8]}})


SEARCH: dict[str, Any] = {
    "optimizer": {
        "choice": [
            {"name": "sgd", "lr": {"float": [0.01, 1.0], "log": True}, "momentum": {"choice": [0.5, 0.9]}},
            {"name": "adamw", "lr": {"float": [0.001, 0.1], "log": True}},
        ]
    },
    "batch_size": {"int": [64, 256], "step": 64},
    "augmentations.crop.padding": {"int": [1, 3]},
    "ema": {"choice": [None, {"decay": {"float": [0.9, 0.999]}}]},
}


def test_the_baseline_is_the_proposal_of_its_point() -> None:
    config = sweep(search=SEARCH)
    point = config.baseline_point({})
    assert point == {
        "optimizer": "sgd",
        "optimizer.sgd.lr": 0.1,
        "optimizer.sgd.momentum": "0.9",
        "batch_size": 128,
        "augmentations.crop.padding": 1,
        "ema": "null",
    }
    assert config.trial_with(draw(config.search, lambda name, _: point[name])) == config.trial


def test_the_point_of_a_cell_follows_the_cell() -> None:
    config = sweep(search=SEARCH, grid={"model.width": [8, 16]})
    assert config.baseline_point(config.cells()[1]) == config.baseline_point({})


def test_a_baseline_outside_its_range_is_missing_from_its_point() -> None:
    config = sweep(
        search={
            "optimizer.lr": {"float": [0.2, 1.0]},
            "batch_size": {"choice": [64, 256]},
            "ema.decay": {"float": [0.5, 0.9]},
        }
    )
    assert config.baseline_point({}) == {}


def test_corner_trials_hold_the_baseline_every_cell_and_every_end() -> None:
    config = sweep(search={"batch_size": {"int": [64, 256], "step": 64}}, grid={"model.width": [8, 16]})
    corners = config.corner_trials()
    assert corners[0] == config.trial
    assert len(set(corners)) == len(corners)
    found = {(trial.model.model_dump()["width"], trial.batch_size) for trial in corners}
    assert found == {(width, batch) for width in (8, 16) for batch in (64, 128, 256)}


def test_the_grace_period_is_a_tenth_of_the_epochs_where_it_is_not_written() -> None:
    asha = {"name": "asha"}
    assert sweep(scheduler=asha).scheduler.model_dump()["grace_epochs"] == 2
    assert sweep(scheduler=asha, trial={**TRIAL, "epochs": 1}).scheduler.model_dump()["grace_epochs"] == 1
    assert sweep(scheduler={**asha, "grace_epochs": 7}).scheduler.model_dump()["grace_epochs"] == 7
    assert sweep(scheduler={"name": "none"}).scheduler.model_dump() == {"name": "none"}


def test_a_sweep_that_names_no_scheduler_promotes_and_with_several_objectives_stops() -> None:
    assert sweep().scheduler == sweep(scheduler={"name": "asha_promotion"}).scheduler
    two = [{"metric": "validation_accuracy"}, {"metric": "num_parameters", "mode": "min"}]
    assert sweep(objective=two).scheduler == sweep(objective=two, scheduler={"name": "asha"}).scheduler


@given(epochs=st.integers(1, 400), trials=st.integers(1, 500), factor=st.integers(2, 6))
def test_promotion_begins_at_the_earliest_rung_that_leaves_two_trials(epochs: int, trials: int, factor: int) -> None:
    grace = default_grace({"name": "asha_promotion", "reduction_factor": factor}, epochs, trials)
    steps = [k for k in range(6) if factor**k <= 27 and (k == 0 or trials / factor**k >= 2)]
    assert grace == ceil(Fraction(epochs, factor ** max(steps)))


@pytest.mark.parametrize("name", ["asha", "asha_promotion", "hyperband", "median"])
def test_every_scheduler_with_a_grace_period_gets_it_from_the_epochs_and_within_them(name: str) -> None:
    assert sweep(scheduler={"name": name}).scheduler.model_dump()["grace_epochs"] == (7 if "promotion" in name else 2)
    with pytest.raises(ValidationError, match=r"grace_epochs: must be at most trial\.epochs, which is 20, got 21"):
        sweep(scheduler={"name": name, "grace_epochs": 21})


def test_written_out_a_sweep_loads_to_an_equal_one_with_every_default(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    config = load_sweep(write())
    path = tmp_path / "resolved.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    again = load_sweep(path)
    assert again == config
    assert again.header == config.header
    assert again.to_yaml() == config.to_yaml()
    assert "channels_last: true" in config.to_yaml()
    assert "sam: null" in config.to_yaml()


def test_a_sweep_can_be_sent_to_another_process(write: Callable[..., Path]) -> None:
    config = load_sweep(write())
    config.corner_trials()
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert again.header == config.header


def test_two_sweeps_of_different_headers_differ(write: Callable[..., Path]) -> None:
    config = load_sweep(write())
    assert config.with_header("other") != config
    assert config.with_header(config.header) == config


def proposals(config: SweepConfig) -> list[str]:
    asked: list[str] = []

    def suggest(name: str, domain: Domain) -> Any:
        asked.append(name)
        return next(iter(domain.options)) if isinstance(domain, ChoiceDomain) else domain.low

    draw(config.search, suggest)
    return asked


def test_parameter_names_follow_the_file(write: Callable[..., Path]) -> None:
    assert proposals(load_sweep(write())) == [
        "optimizer.lr",
        "batch_size",
        "augmentations.crop.padding",
        "schedule",
        "schedule.onecycle.rise",
        "sam",
    ]
