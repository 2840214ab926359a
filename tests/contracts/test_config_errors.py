"""Whatever a trial may name, in whatever component: a mistake is reported in the words of the field."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from cifar_tune.config.domains import DOMAIN_KEYS
from cifar_tune.config.messages import explain
from cifar_tune.config.samplers import AnySampler
from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.schema import Strict
from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.losses import AnyLoss
from cifar_tune.training.models import AnyModel
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.trial import TrialConfig

UNIONS = {
    "dataset": AnyDataset,
    "model": AnyModel,
    "augmentations": AnyAugmentation,
    "loss": AnyLoss,
    "optimizer": AnyOptimizer,
    "schedule": AnySchedule,
}
BASELINE: dict[str, Any] = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18"},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "epochs": 2,
}
ONE_OF_TWO = {"step": {"every": 10}}
"""Members whose fields are optional one by one, but not together."""
STRANGE = ("some words", {"zzz": 1}, [[]], -7.25)
ALLOWED = ("must be ", "unknown key", "missing;")
JARGON = ("Input should", "Field required", "str_type", "valid ", "tuple", "dict", "instance of", "function-")


def members(union: Any) -> tuple[type[BaseModel], ...]:
    return get_args(get_args(union)[0])


MEMBERS = [(place, member) for place, union in UNIONS.items() for member in members(union)]
FIELDS = [
    (place, member, key, field)
    for place, member in MEMBERS
    for key, field in member.model_fields.items()
    if key != "name"
]


def name_of(member: type[BaseModel]) -> str:
    return str(member.model_fields["name"].default)


@cache
def complete(member: type[BaseModel]) -> dict[str, Any]:
    """The member with a value for each field that it requires; not to be changed."""
    made: dict[str, Any] = {"name": name_of(member), **ONE_OF_TWO.get(name_of(member), {})}
    for key, field in member.model_fields.items():
        if field.is_required():
            alone = model_of(field)
            made[key] = next(value for value in (0.1, 2, "words", ["words"]) if accepts(alone, value))
    return made


def model_of(field: FieldInfo) -> type[BaseModel]:
    """A model of this field alone, as `value`. To make one takes longer than all checks of a test."""
    return create_model("One", __base__=Strict, value=(field.annotation, field))


def accepts(alone: type[BaseModel], value: Any) -> bool:
    try:
        alone.model_validate({"value": value})
    except ValidationError:
        return False
    return True


def trial(place: str, component: dict[str, Any]) -> dict[str, Any]:
    return {**BASELINE, place: [component] if place == "augmentations" else component}


def messages(values: dict[str, Any]) -> Iterator[str]:
    with pytest.raises(ValidationError) as caught:
        TrialConfig.model_validate(values)
    for finding in explain(caught.value, TrialConfig, values):
        yield f"{'.'.join(map(str, finding.loc))}: {finding.message}"


def path(place: str, key: str) -> str:
    return f"{place}.0.{key}" if place == "augmentations" else f"{place}.{key}"


@pytest.mark.parametrize(
    ("place", "member"), MEMBERS, ids=lambda value: value if isinstance(value, str) else name_of(value)
)
def test_a_member_refuses_a_key_that_it_does_not_have_and_lists_those_it_has(
    place: str, member: type[BaseModel]
) -> None:
    (message,) = messages(trial(place, {**complete(member), "zzz": 1}))
    assert message == f"{path(place, 'zzz')}: unknown key `zzz`; allowed: {', '.join(sorted(member.model_fields))}"


@pytest.mark.parametrize("place", UNIONS)
def test_a_misspelt_member_is_told_from_all_there_are(place: str) -> None:
    for member in members(UNIONS[place]):
        name = name_of(member)
        (message,) = messages(trial(place, {"name": f"{name}x"}))
        assert f"{path(place, 'name')}: unknown " in message
        assert f"did you mean `{name}`?" in message
        for other in members(UNIONS[place]):
            assert name_of(other) in message.partition("allowed: ")[2].split(", ")


@pytest.mark.parametrize(
    ("place", "member", "key", "field"),
    FIELDS,
    ids=lambda value: "" if isinstance(value, FieldInfo) else value if isinstance(value, str) else name_of(value),
)
def test_a_strange_value_is_told_what_is_allowed(
    place: str, member: type[BaseModel], key: str, field: FieldInfo
) -> None:
    alone = model_of(field)
    for value in [strange for strange in STRANGE if not accepts(alone, strange)]:
        found = list(messages(trial(place, {**complete(member), key: value})))
        assert any(message.startswith(path(place, key)) for message in found)
        for message in found:
            assert any(word in message for word in ALLOWED), message
            assert not any(word in message for word in JARGON), message


@pytest.mark.parametrize(
    ("place", "member"), MEMBERS, ids=lambda value: value if isinstance(value, str) else name_of(value)
)
def test_trials_of_every_member_can_be_compared_and_counted(place: str, member: type[BaseModel]) -> None:
    made = [TrialConfig.model_validate(trial(place, complete(member))) for _ in range(2)]
    assert len(set(made)) == 1


@pytest.mark.parametrize("union", [*UNIONS.values(), AnySampler, AnyScheduler])
def test_members_are_told_apart_by_name(union: Any) -> None:
    names = [name_of(member) for member in members(union)]
    assert len(set(names)) == len(names) > 1


def test_no_field_of_a_trial_has_the_key_of_a_domain() -> None:
    for _, member in MEMBERS:
        assert not set(DOMAIN_KEYS) & member.model_fields.keys()
    assert not set(DOMAIN_KEYS) & TrialConfig.model_fields.keys()
