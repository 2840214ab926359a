# ruff: noqa: E501 - one case a line
"""What a sweep may vary, and what it gets for varying something that no trial can take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cifar_tune.config.load import load_sweep

Problems = Callable[..., list[str]]

GRID = "grid:\n  model.activation: [relu, mish]\n"
SEARCH = "search:\n"


def in_grid(text: str) -> tuple[str, str]:
    return GRID, f"{GRID}  {text}\n"


def in_search(text: str) -> tuple[str, str]:
    return SEARCH, f"{SEARCH}  {text}\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (in_search("optimizer.momentum: {float: [0.5, 1.5]}"), "optimizer.momentum: must be a number of at least 0 and below 1, got 1.5"),
        (in_search("optimizer.momentum: {float: [-0.5, 0.5]}"), "at least 0 and below 1, got -0.5"),
        (in_search("model.dropout: {int: [0, 3]}"), "model.dropout: must be a number of at least 0 and below 1, got 1"),
        (in_search("model.squeeze_factor: {float: [4.0, 8.0]}"), "model.squeeze_factor: must be a whole number of at least 1, got 4.0"),
        (in_search("model.variant: {choice: [live, dead]}"), "variant.choice.1: must be live, published or newer, got the text 'dead'"),
        (in_search("optimizer.momentun: {float: [0.5, 0.9]}"), "unknown key `momentun`; did you mean `momentum`? allowed: "),
        (in_search("optimiser.momentum: {float: [0.5, 0.9]}"), "unknown key `optimiser`; did you mean `optimizer`? allowed: "),
        (in_search("augmentations.cutout.p: {float: [0.1, 0.9]}"), "`augmentations` holds no `cutout`; it holds flip, crop"),
        (in_search("augmentations.5.p: {float: [0.1, 0.9]}"), "`augmentations` has no item 5; 0 to 1 are there"),
        (in_search("augmentations.flip.q: {float: [0.1, 0.9]}"), "unknown key `q`"),
        (in_search("ema: {choice: [null, {decay: {float: [0.9, 1.5]}}]}"), "ema.choice.1.decay: must be a number of at least 0 and below 1, got 1.5"),
        (in_search("ema: {choice: [null, {dekay: 0.9}]}"), "ema.choice.1.dekay: unknown key `dekay`; did you mean `decay`? allowed: decay"),
        (in_search("ema.decay: {float: [0.9, 1.0]}"), "ema.decay: must be a number of at least 0 and below 1, got 1.0"),
        (in_search("optimizer.lr.x: {float: [0.9, 1.0]}"), "`optimizer.lr` is a single value, there is no `x` in it"),
        (in_search("optimizer.name: {choice: [sgd, adamw]}"), "optimizer.name = adamw does not take all options of the baseline's; vary `optimizer` as a whole"),
        (in_search("optimizer.momentum: {float: [0.5, 0.5]}"), "the range holds one value; write 0.5 into `trial` instead"),
        (in_search("optimizer.momentum: {float: [0.9, 0.5]}"), "the range is empty: the low end 0.9 is above the high end 0.5"),
        (in_search("optimizer.momentum: {float: [0, 0.5], log: true}"), "a logarithmic range needs a low end above 0, got 0"),
        (in_search("optimizer.momentum: {float: [0, 0.5], stop: 1}"), "unknown key `stop`; did you mean `step`? allowed: float, log, prior, step"),
        (in_search("optimizer.momentum: {float: [0, high]}"), "optimizer.momentum.float.1: must be a number, got the text 'high'"),
        (in_search("optimizer.momentum: {float: [0]}"), "missing; must be a number"),
        (in_search("optimizer.momentum: {float: [0, 0.5, 0.9]}"), "optimizer.momentum.float: must be a list of 2, got a list"),
        (in_search("optimizer.momentum: [0, 0.5]"), "must be {float: [low, high]}, {int: [low, high]} or {choice: [...]}, got a list"),
        (in_search("optimizer.momentum: {flaot: [0, 0.5]}"), "unknown key `flaot`; did you mean `float`?"),
        (in_search("optimizer.momentum: {choice: []}"), "the choice is empty; list at least two options"),
        (in_search("model.activation: {choice: [relu, mish]}"), "stands in `grid.model.activation` already; vary it in one place"),
        (in_search("augmentations.1.padding: {int: [1, 2]}"), "stands in `search.augmentations.1.padding` already"),
        (in_search("optimizer: {choice: [{name: sgd, lr: 1.0}, {name: adamw, lr: 0.1}]}"), "`search.optimizer` replaces the whole block that `search.optimizer.lr` leads into"),
        (in_search("model: {choice: [{name: mininet}, {name: resnet18}]}"), "`search.model` replaces the whole block that `grid.model.activation` leads into"),
        (in_search("epochs: {int: [3, 30]}"), "epochs: cannot be varied here: trials of different length cannot be ranked"),
        (in_search("trial.optimizer.lr: {float: [0.1, 1.0]}"), "search.trial.optimizer.lr: paths lead into `trial` and do not name it; write `optimizer.lr`"),
        (in_search("seed: {int: [0, 9]}"), "seed: cannot be varied here: trials get their seeds from the sweep's `seed`"),
        (in_search("dataset.train_size: {int: [1000, 9000]}"), "put it under `grid`"),
        (in_search("batch_sise: {int: [64, 128]}"), "unknown key `batch_sise`; did you mean `batch_size`?"),
        (in_grid("model.squeeze_factor: [4]"), "squeeze_factor: the axis holds the one value 4; write it into `trial`"),
        (in_grid("model.squeeze_factor: []"), "squeeze_factor: the axis holds no value; list at least two"),
        (in_grid("model.squeeze_factor: 4"), "squeeze_factor: must be a list, got 4"),
        (in_grid("model.squeeze_factor: [4, 8, 4.0]"), "squeeze_factor.2: must be a whole number of at least 1, got 4.0"),
        (in_grid("optimizer.momentum: [0, 0.5, 0.0]"), "optimizer.momentum.2: 0.0 makes the same trial as 0"),
        (in_grid("optimizer.momentum: [0, 0.5, 2]"), "optimizer.momentum.2: must be a number of at least 0 and below 1, got 2"),
        (in_grid("optimizer.momentum: [0, {float: [0.5, 0.9]}]"), "a range cannot be a value of the grid; put it under `search`"),
        (in_grid("optimizer.momentun: [0, 0.5]"), "optimizer.momentun: unknown key `momentun`; did you mean `momentum`?"),
        (in_grid("clip: [null, {norm: 1.0, value: 1.0}]"), "clip.1: clip takes exactly one of `norm` and `value`"),
        (in_grid("accumulation: [1, 3]"), "grid.accumulation.1: accumulation 3 does not divide batch_size 128"),
        (in_grid("accumulation: [1, 64, 128]"), "grid.accumulation.2: accumulation 128 does not divide batch_size 64 (with accumulation = 128, batch_size = 64)"),
        (in_grid("optimizer.lr: [0.1, 0.2]"), "search.optimizer.lr: stands in `grid.optimizer.lr` already"),
        (in_grid("epochs: [3, 30]"), "epochs: cannot be varied here"),
    ],
)  # fmt: skip
def test_a_space_with_a_trial_that_cannot_be_gets_one_message(
    problems: Problems, change: tuple[str, str], expected: str
) -> None:
    found = problems(change)
    assert len(found) == 1
    assert expected in found[0]


def test_a_problem_stands_at_the_line_of_its_range(problems: Problems) -> None:
    (found,) = problems(("    float: [1e-3, 1.0]", "    float: [0, 1.0]"), ("    log: true\n", ""))
    assert found == "sweep.yaml:33:5: search.optimizer.lr: must be a number above 0, got 0.0"


def test_two_ranges_whose_ends_do_not_go_together_are_told_of_each_other(problems: Problems) -> None:
    (found,) = problems(
        in_search("accumulation: {int: [1, 3]}"), ("    int: [64, 256]\n    step: 64", "    choice: [128, 258]")
    )
    assert "accumulation 3 does not divide batch_size 128" in found


def test_an_int_range_that_takes_its_ends_but_not_its_steps_is_refused(problems: Problems) -> None:
    (found,) = problems(("    int: [64, 256]\n    step: 64", "    int: [64, 256]"))
    assert "accumulation 2 does not divide batch_size 65" in found


def test_conditional_spaces_are_checked_at_every_depth(problems: Problems) -> None:
    (found,) = problems(("          float: [0.1, 0.5]", "          choice: [0.1, {float: [0.5, 2.0]}]"))
    assert "search.schedule.choice.0.rise: must be " in found
    assert found.endswith("got 2.0")


def test_a_huge_grid_is_refused_and_not_tried(problems: Problems) -> None:
    axes = "".join(
        f"  {path}: [{', '.join(map(str, range(1, 30)))}]\n"
        for path in ("model.squeeze_factor", "optimizer.lr", "dataset.train_size")
    )
    (found,) = problems((GRID, GRID + axes), ("  optimizer.lr:\n    float: [1e-3, 1.0]\n    log: true\n", ""))
    assert "grid: the grid has 97,556 cells; at most 10,000 are allowed" in found


def test_a_component_that_the_baseline_names_may_change_where_the_options_fit(write: Callable[..., object]) -> None:
    path = write(
        ("    name: mininet\n    activation: mish", "    name: resnet18\n    width: 16"),
        (
            "  model.activation: [relu, mish]\n  model.width:\n    - 8\n    - 16\n",
            "  model.name: [resnet18, resnet34]\n",
        ),
    )
    sweep = load_sweep(path)  # type: ignore[arg-type]
    names = [
        (sweep.trial_with(cell).model_dump()["model"]["name"], sweep.trial_with(cell).model_dump()["model"]["width"])
        for cell in sweep.cells()
    ]
    assert names == [("resnet18", 16), ("resnet34", 16)]
