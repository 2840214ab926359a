"""Ranges, choices, and proposals drawn from them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.proposals import draw
from cifar_tune.config.ranges import FloatDomain, IntDomain
from cifar_tune.config.space import probes

DOMAIN: TypeAdapter[Domain] = TypeAdapter(Domain)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"float": [1.0, 0.1]}, "the range is empty: the low end 1 is above the high end 0.1"),
        ({"int": [3, 3]}, "the range holds one value; write 3 into `trial` instead"),
        ({"float": [0.0, 1.0], "log": True}, "a logarithmic range needs a low end above 0, got 0"),
        ({"float": [0.1, 1.0], "log": True, "step": 0.1}, "`log` and `step` exclude each other; drop one"),
        ({"int": [1, 9], "log": True, "step": 2}, "`log` and `step` exclude each other; drop one"),
        ({"int": [1, 9], "step": 3}, "steps of 3 from 1 do not reach 9; the last below it is 7"),
        ({"int": [1, 9], "step": 10}, "the step 10 is larger than the range from 1 to 9"),
        ({"float": [0.0, 1.0], "step": 0.3}, "steps of 0.3 from 0 do not reach 1; the last below it is 0.9"),
        ({"choice": []}, "the choice is empty; list at least two options"),
        ({"choice": [4]}, "one option is not a choice; write 4 into `trial` instead"),
        ({"choice": [4, 8, 4]}, "the option 4 stands twice; keep one"),
        ({"float": [0, "1"]}, "valid number"),
        ({"int": [1, 2.5]}, "valid integer"),
        ({"int": [True, 2]}, "valid integer"),
        ({"float": [0.0, float("inf")]}, "finite number"),
        ({"float": [1.0]}, "Field required"),
        ({"flaot": [0, 1]}, "must be {float: [low, high]}"),
        ([0, 1], "must be {float: [low, high]}"),
    ],
)
def test_a_domain_that_holds_nothing_sensible_is_refused(written: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DOMAIN.validate_python(written)
    assert message in str(caught.value)


def test_steps_that_binary_fractions_miss_by_a_hair_are_allowed() -> None:
    domain = DOMAIN.validate_python({"float": [0.1, 0.7], "step": 0.1})
    assert domain.contains(0.1 + 0.2)
    assert not domain.contains(0.35)


def test_one_and_true_are_different_options() -> None:
    assert len(DOMAIN.validate_python({"choice": [1, True]}).options) == 2


def test_what_a_domain_contains() -> None:
    assert FloatDomain(float=(0.1, 1.0)).contains(1.0)
    assert FloatDomain(float=(0.1, 1.0)).contains(1)
    assert not FloatDomain(float=(0.1, 1.0)).contains(1.01)
    assert not FloatDomain(float=(0.1, 1.0)).contains(None)
    assert not FloatDomain(float=(0.1, 1.0)).contains(True)
    assert IntDomain(int=(128, 1024), step=128).contains(256)
    assert not IntDomain(int=(128, 1024), step=128).contains(200)
    assert not IntDomain(int=(128, 1024)).contains(200.0)
    assert ChoiceDomain(choice=("a", None)).contains("null")


def test_options_are_labelled_by_name_and_counted_where_names_repeat() -> None:
    domain = DOMAIN.validate_python(
        {
            "choice": [
                {"name": "sgd", "lr": {"float": [0.1, 1.0]}},
                {"name": "sgd", "lr": 1.0, "momentum": {"choice": [0.0, 0.9]}},
                {"name": "adamw", "lr": 0.1},
                None,
                [{"name": "flip"}, {"name": "crop", "padding": 4}],
                8,
            ]
        }
    )
    assert list(domain.options) == ["sgd 1", "sgd 2", "adamw", "null", "flip,crop(padding=4)", "8"]
    assert list(domain.options["sgd 2"].domains) == ["momentum"]


NESTED = {
    "lr": {"float": [0.1, 1.0]},
    "optimizer": {
        "choice": [
            {
                "name": "sgd",
                "groups": [{"lr": {"float": [0.2, 2.0]}}],
                "momentum": {"choice": [0.0, {"float": [0.5, 0.9]}]},
            },
            {"name": "adamw", "lr": 0.1},
        ]
    },
    "clip": {"choice": [None, {"float": [0.1, 10.0]}]},
}


@pytest.mark.parametrize(
    ("answers", "proposal"),
    [
        (
            {"lr": 0.3, "optimizer": "adamw", "clip": "null"},
            {"lr": 0.3, "optimizer": {"name": "adamw", "lr": 0.1}, "clip": None},
        ),
        (
            {
                "lr": 0.3,
                "optimizer": "sgd",
                "optimizer.sgd.groups.0.lr": 0.7,
                "optimizer.sgd.momentum": "(float=[0.5,0.9])",
                "optimizer.sgd.momentum.(float=[0.5,0.9])": 0.6,
                "clip": "(float=[0.1,10.0])",
                "clip.(float=[0.1,10.0])": 5.0,
            },
            {"lr": 0.3, "optimizer": {"name": "sgd", "groups": [{"lr": 0.7}], "momentum": 0.6}, "clip": 5.0},
        ),
    ],
)
def test_only_the_domains_of_chosen_options_are_asked_for(answers: dict[str, Any], proposal: dict[str, Any]) -> None:
    search = {path: DOMAIN.validate_python(written) for path, written in NESTED.items()}
    asked = []

    def suggest(name: str, domain: Domain) -> Any:
        asked.append(name)
        assert domain.contains(answers[name])
        return answers[name]

    assert draw(search, suggest) == proposal
    assert asked == list(answers)


def test_probes_are_both_ends_the_first_step_and_every_option() -> None:
    assert [value for _, value in probes(DOMAIN.validate_python({"float": [0.1, 1.0]}))] == [0.1, 1.0]
    assert [value for _, value in probes(DOMAIN.validate_python({"int": [1, 9], "step": 2}))] == [1, 3, 9]
    assert [value for _, value in probes(DOMAIN.validate_python(NESTED["optimizer"]))] == [
        {"name": "sgd", "groups": [{"lr": 0.2}], "momentum": 0.0},
        {"name": "sgd", "groups": [{"lr": 2.0}], "momentum": 0.0},
        {"name": "sgd", "groups": [{"lr": 0.2}], "momentum": 0.5},
        {"name": "sgd", "groups": [{"lr": 0.2}], "momentum": 0.9},
        {"name": "adamw", "lr": 0.1},
    ]
