"""What a prior does to every sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from cifar_tune.config.domains import Domain
from cifar_tune.config.ranges import FloatDomain
from cifar_tune.config.samplers import AnySampler, CmaEs, Random
from cifar_tune.search.studies.points import Point
from cifar_tune.search.studies.priors import SPREAD, PriorSampler
from cifar_tune.search.studies.studies import Study

SAMPLERS = [member() for member in get_args(get_args(AnySampler)[0])]
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda one: one.name)
BEST = 0.03
EPOCHS = 2


def space(mean: float | None, strength: float = 0.8) -> dict[str, Any]:
    """Nine decades of two parameters; one belief about both."""
    prior = {} if mean is None else {"prior": {"mean": mean, "strength": strength}}
    return {name: {"float": [1e-6, 1e3], "log": True, **prior} for name in ("lr", "decay")}


def study_of(sampler: AnySampler, search: Mapping[str, Any], seed: int = 0) -> Study:
    domains = TypeAdapter(dict[str, Domain]).validate_python(search)
    return Study({}, search=domains, sampler=sampler, seed=seed, epochs=EPOCHS)


def distance(point: Point) -> float:
    """Decades from the best, of both parameters together."""
    return sum(abs(math.log10(value / BEST)) for value in point.answers.values())


def train(study: Study, number: int, point: Point) -> None:
    place = study.add(f"t{number}", point)
    study.report(place, EPOCHS, -distance(point))
    study.end(place, "completed")


def run(study: Study, trials: int) -> list[Point]:
    points = []
    for number in range(trials):
        points.append(study.ask())
        train(study, number, points[-1])
    return points


def regret(sampler: AnySampler, mean: float | None, trials: int, seeds: int = 5) -> float:
    """The mean over seeds of the best point's distance."""
    return float(
        np.mean([min(map(distance, run(study_of(sampler, space(mean), seed), trials))) for seed in range(seeds)])
    )


@each_sampler
def test_a_good_prior_finds_the_best_sooner(sampler: AnySampler) -> None:
    assert regret(sampler, 0.1, 8) < 0.7 * regret(sampler, None, 8)


@pytest.mark.parametrize("sampler", [one for one in SAMPLERS if one.name in ("tpe", "cmaes")], ids=lambda one: one.name)
def test_a_search_recovers_from_a_bad_prior(sampler: AnySampler) -> None:
    """Told 3.5 decades off in both, it ends half a decade in each behind one that was told nothing, if at all."""
    assert regret(sampler, 100.0, 60, seeds=3) < regret(sampler, None, 60, seeds=3) + 1.0


@each_sampler
def test_a_study_with_priors_that_is_rebuilt_goes_on_as_it_would_have(sampler: AnySampler) -> None:
    whole = run(study_of(sampler, space(0.1)), 14)
    rebuilt = study_of(sampler, space(0.1))
    for number, point in enumerate(whole[:9]):
        train(rebuilt, number, point)
    assert [one.answers for one in run(rebuilt, 5)] == [one.answers for one in whole[9:]]
    assert [one.answers for one in run(study_of(sampler, space(0.1), seed=1), 14)] != [one.answers for one in whole]


def test_cma_es_with_margin_bears_proposals_that_are_not_its_own() -> None:
    points = run(study_of(CmaEs(with_margin=True), space(0.1)), 20)
    assert len(points) == 20


def domain_of(written: Mapping[str, Any]) -> Any:
    domain: Any = TypeAdapter(Domain).validate_python(written)
    return domain


def test_what_follows_a_prior_is_a_normal_distribution_cut_off_at_the_ends() -> None:
    domain = domain_of({"float": [1.0, 9.0], "prior": {"mean": 2.0, "strength": 1.0}})
    assert isinstance(domain, FloatDomain)
    drawn = [PriorSampler(seed, 0).answer(domain) for seed in range(400)]
    width = SPREAD * 8.0
    expected = stats.truncnorm((1.0 - 2.0) / width, (9.0 - 2.0) / width, loc=2.0, scale=width)
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.01


@pytest.mark.parametrize(("num_finished", "share"), [(0, 0.6), (10, 0.6), (20, 0.3), (100, 0.06)])
def test_a_prior_is_followed_by_its_strength_which_fades_after_ten_trials(num_finished: int, share: float) -> None:
    domain = domain_of({"float": [0.0, 1.0], "prior": {"mean": 0.5, "strength": 0.6}})
    followed = [PriorSampler(seed, num_finished).answer(domain) is not None for seed in range(2000)]
    assert np.mean(followed) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 2000))


def test_what_follows_a_prior_lies_on_the_steps_of_its_range() -> None:
    domain = domain_of({"int": [32, 128], "step": 32, "prior": {"mean": 100, "strength": 1.0}})
    drawn = {PriorSampler(seed, 0).answer(domain) for seed in range(50)}
    assert drawn <= {64, 96, 128}
    assert 96 in drawn
    fine = domain_of({"float": [0.0, 0.5], "step": 0.1, "prior": {"mean": 0.5, "strength": 1.0}})
    assert all(fine.contains(PriorSampler(seed, 0).answer(fine)) for seed in range(50))


def test_a_preferred_component_is_proposed_with_its_own_ranges() -> None:
    search = {
        "optimizer": {
            "choice": [{"name": "sgd", "lr": 0.1}, {"name": "adamw", "lr": {"float": [1e-4, 1e-2], "log": True}}],
            "prior": {"option": "adamw", "strength": 1.0},
        }
    }
    study = study_of(Random(), search)
    for seed in range(10):
        point = study.ask()
        assert point.answers["optimizer"] == "adamw"
        assert study.covers(point.answers)
        study.add(f"t{seed}", point)
