"""What every sampler does, whatever it is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import optuna
import pytest
from pydantic import TypeAdapter, ValidationError

from cifar_tune.config.domains import Domain
from cifar_tune.config.samplers import PARENTS, AnySampler
from cifar_tune.search.samplers import build_sampler
from cifar_tune.search.studies.points import Point
from cifar_tune.search.studies.studies import Study

SAMPLERS = [member() for member in get_args(get_args(AnySampler)[0])]
EPOCHS = 3
FLAT = {"lr": {"float": [1e-4, 1.0], "log": True}, "width": {"int": [8, 64], "step": 8}, "drop": {"float": [0.0, 0.5]}}
NESTED = {
    "optimizer": {
        "choice": [
            {"name": "sgd", "lr": {"float": [0.01, 1.0], "log": True}, "momentum": {"choice": [0.0, 0.9]}},
            {"name": "adamw", "lr": {"float": [1e-4, 1e-2], "log": True}},
        ]
    },
    "width": {"int": [8, 64], "step": 8},
}

each_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda one: one.name)
in_each_space = pytest.mark.parametrize(
    ("sampler", "space"),
    [
        # To fit a Gaussian process to the flat space takes longer than all else of this file together.
        pytest.param(
            one, space, id=f"{kind}-{one.name}", marks=[pytest.mark.slow] * ((one.name, kind) == ("gp", "flat"))
        )
        for one in SAMPLERS
        for kind, space in (("flat", FLAT), ("nested", NESTED))
    ],
)


def study_of(sampler: AnySampler, space: Mapping[str, Any], seed: int = 0) -> Study:
    search = TypeAdapter(dict[str, Domain]).validate_python(space)
    return Study({}, search=search, sampler=sampler, seed=seed, epochs=EPOCHS)


def accuracy(answers: Mapping[str, Any]) -> float:
    """Best at a learning rate of 0.03 and the widest net."""
    lr = next(value for name, value in answers.items() if name.endswith("lr"))
    return math.exp(-abs(math.log(lr / 0.03))) * answers["width"] / 64


def train(study: Study, number: int, point: Point) -> None:
    place = study.add(f"t{number}", point)
    for epoch in range(1, EPOCHS + 1):
        study.report(place, epoch, accuracy(point.answers) * epoch / EPOCHS)
    study.end(place, "completed")


def run(study: Study, trials: int) -> list[Point]:
    points = []
    for number in range(trials):
        points.append(study.ask())
        train(study, number, points[-1])
    return points


def answers_of(points: list[Point]) -> list[Mapping[str, Any]]:
    return [point.answers for point in points]


@in_each_space
def test_proposals_lie_in_the_space(sampler: AnySampler, space: Mapping[str, Any]) -> None:
    study = study_of(sampler, space)
    for point in run(study, 16):
        assert study.covers(point.answers)
        assert 8 <= point.answers["width"] <= 64
        assert point.answers["width"] % 8 == 0


@in_each_space
def test_the_same_seed_gives_the_same_proposals_and_another_seed_others(
    sampler: AnySampler, space: Mapping[str, Any]
) -> None:
    first, again, other = (answers_of(run(study_of(sampler, space, seed), 14)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@in_each_space
def test_a_study_rebuilt_half_way_goes_on_with_the_same_proposals(
    sampler: AnySampler, space: Mapping[str, Any]
) -> None:
    whole = run(study_of(sampler, space), 16)
    rebuilt = study_of(sampler, space)
    for number, point in enumerate(whole[:11]):
        train(rebuilt, number, point)
    assert answers_of(run(rebuilt, 5)) == answers_of(whole[11:])


def run_within(study: Study, widest: int, trials: int, given: list[Point] | None = None) -> list[Point]:
    """Trains what is narrow enough and refuses the rest; `given` stands for the first proposals."""
    points = list(given or [])
    for number in range(trials):
        if number >= len(points):
            points.append(study.ask())
        point = points[number]
        excess = {"num_parameters": point.answers["width"] / widest - 1}
        if excess["num_parameters"] > 0:
            study.end(study.add("", point, excess), "infeasible")
        else:
            place = study.add(f"t{number}", point, excess)
            study.report(place, EPOCHS, accuracy(point.answers))
            study.end(place, "completed")
    return points


@in_each_space
def test_proposals_refused_for_a_constraint_are_known_again_by_a_rebuilt_study(
    sampler: AnySampler, space: Mapping[str, Any]
) -> None:
    whole = run_within(study_of(sampler, space), 32, 16)
    assert answers_of(run_within(study_of(sampler, space), 32, 16, whole[:12])) == answers_of(whole)
    assert {one.answers["width"] > 32 for one in whole} == {False, True}


@each_sampler
def test_no_two_workers_get_the_same_proposal(sampler: AnySampler) -> None:
    study = study_of(sampler, FLAT)
    points = []
    for number in range(12):
        points.append(study.ask())
        study.add(f"t{number}", points[-1])
    assert len({tuple(one.answers.values()) for one in points}) == 12


@pytest.mark.parametrize("name", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_model_finds_better_points_than_chance(name: str) -> None:
    (sampler,) = [one for one in SAMPLERS if one.name == name]
    late = [accuracy(point.answers) for point in run(study_of(sampler, FLAT), 40)[20:]]
    early = [accuracy(point.answers) for point in run(study_of(sampler, FLAT), 10)]
    assert np.mean(late) > 2 * np.mean(early)


def test_a_low_discrepancy_sequence_fills_every_part_of_a_range() -> None:
    (qmc,) = [one for one in SAMPLERS if one.name == "qmc"]
    values = [point.answers["drop"] for point in run(study_of(qmc, FLAT), 33)[1:]]
    assert np.histogram(values, bins=8, range=(0, 0.5))[0].min() >= 2


NOT_IN_A_FILE: Mapping[str, Mapping[str, str]] = {
    "tpe": {
        "consider_prior": "Optuna takes no heed of it since 4.3",
        "gamma": "a function",
        "weights": "a function",
    },
    "gp": {"independent_sampler": "an object"},
    "cmaes": {
        "independent_sampler": "an object",
        "x0": "priors are for every sampler",
        "consider_pruned_trials": "stopped trials count by their expected final value",
        "restart_strategy": "Optuna takes no heed of it since 4.4",
        "inc_popsize": "Optuna takes no heed of it since 4.4",
        "source_trials": "`warm_start` gives them",
    },
    "qmc": {"independent_sampler": "an object"},
    "nsga2": {
        "elite_population_selection_strategy": "a function",
        "child_generation_strategy": "a function",
        "after_trial_strategy": "a function",
    },
}
"""Arguments of Optuna's that no sweep file can hold, or that would mean nothing here."""

OURS = ("seed", "constraints_func", "warn_independent_sampling", "warn_asynchronous_seeding")
"""What the sweep gives a sampler itself."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "tpe": {
        "n_startup_trials": 3,
        "n_ei_candidates": 7,
        "multivariate": False,
        "group": False,
        "constant_liar": False,
        "prior_weight": 2.0,
        "consider_magic_clip": False,
        "consider_endpoints": True,
    },
    "random": {},
    "gp": {"n_startup_trials": 4, "deterministic_objective": True},
    "cmaes": {
        "n_startup_trials": 2,
        "sigma0": 0.3,
        "popsize": 6,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": True,
    },
    "qmc": {"qmc_type": "halton", "scramble": False},
    "nsga2": {
        "population_size": 6,
        "mutation_prob": 0.5,
        "crossover_prob": 0.4,
        "swapping_prob": 0.3,
        "crossover": "undx",
        "mutation": "polynomial",
    },
}
"""Other values than the defaults, of every option."""


def sampler_of(name: str, options: Mapping[str, Any]) -> AnySampler:
    made: AnySampler = TypeAdapter(AnySampler).validate_python({"name": name, **options})
    return made


@each_sampler
def test_every_argument_of_optunas_that_a_file_can_hold_is_an_option(sampler: AnySampler) -> None:
    known = set(inspect.signature(type(build_sampler(sampler, 1, 1)).__init__).parameters) - {"self", *OURS}
    assert set(type(sampler).model_fields) - {"name"} == known - set(NOT_IN_A_FILE.get(sampler.name, {}))
    assert set(OPTIONS[sampler.name]) == set(type(sampler).model_fields) - {"name"}


@each_sampler
def test_options_reach_optuna_as_they_are_written(sampler: AnySampler, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = type(build_sampler(sampler, 1, 1))
    given: dict[str, Any] = {}

    class Told(theirs):  # type: ignore[misc, valid-type]
        def __init__(self, **arguments: Any) -> None:
            given.update(arguments)
            super().__init__(**arguments)

    monkeypatch.setattr(optuna.samplers, theirs.__name__, Told)
    options = dict(OPTIONS[sampler.name])
    build_sampler(sampler_of(sampler.name, options), 1, 1)
    named = {name: options.pop(name) for name in ("crossover", "mutation") if name in options}
    assert {name: given[name] for name in options} == options
    assert all(type(given[name]).__name__.lower().startswith(value) for name, value in named.items())


@in_each_space
def test_a_sampler_with_other_options_proposes_in_the_space_and_by_its_seed(
    sampler: AnySampler, space: Mapping[str, Any]
) -> None:
    other = sampler_of(sampler.name, OPTIONS[sampler.name])
    first, again = (run(study_of(other, space), 9) for _ in range(2))
    assert answers_of(first) == answers_of(again)
    assert all(study_of(other, space).covers(point.answers) for point in first)


@pytest.mark.parametrize("crossover", PARENTS)
def test_every_crossover_breeds(crossover: str) -> None:
    parents = PARENTS[crossover]
    bred = sampler_of("nsga2", {"population_size": parents, "crossover": crossover})
    assert len(run(study_of(bred, NESTED), 3 * parents)) == 3 * parents
    with pytest.raises(ValidationError, match=f"at least {parents}" if parents > 2 else "greater than or equal to 2"):
        sampler_of("nsga2", {"population_size": parents - 1, "crossover": crossover})
