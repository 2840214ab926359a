"""Values as text for the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.config.rendering import flatten, render
from cifar_tune.training.trial import TrialConfig

TRIAL = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18", "width": 8},
    "augmentations": [{"name": "flip"}, {"name": "crop", "padding": 2}],
    "optimizer": {"name": "sgd", "lr": 0.1},
    "clip": {"norm": 1.0},
    "epochs": 2,
}


def trial(**changes: object) -> TrialConfig:
    return TrialConfig.model_validate({**TRIAL, **changes})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("mish", "mish"),
        ("null", '"null"'),
        ("a b", '"a b"'),
        (0.1, "0.1"),
        (1e-4, "0.0001"),
        (8, "8"),
        ([], "none"),
        ([1, [2, 3]], "1,[2,3]"),
        ({"name": "adamw", "lr": 0.01}, "adamw(lr=0.01)"),
        ({"decay": 0.9}, "(decay=0.9)"),
        ({}, "()"),
        ([{"name": "flip"}, {"name": "crop", "padding": 4}], "flip,crop(padding=4)"),
    ],
)
def test_values_have_a_short_text(value: object, text: str) -> None:
    assert render(value) == text


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "lr", "p"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def distinct(value: object) -> object:
    """A form in which true, 1 and 1.0 differ, and a component without options is the same as its name."""
    if isinstance(value, dict):
        if [*value] == ["name"] and isinstance(value["name"], str):
            return distinct(value["name"])
        return frozenset((key, distinct(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(distinct(item) for item in value)
    return type(value).__name__, repr(value)


@given(st.lists(PLAIN), st.lists(PLAIN))
def test_different_lists_have_different_texts(one: list[object], other: list[object]) -> None:
    if render(one) == render(other):
        assert distinct(one) == distinct(other)


def test_flatten_names_every_value_by_its_path() -> None:
    flat = flatten(trial())
    assert flat["model.width"] == 8
    assert flat["model.stem.kernel"] == 3
    assert flat["optimizer.name"] == "sgd"
    assert flat["clip.norm"] == 1.0
    assert flat["epochs"] == 2
    assert flat["augmentations"] == "flip,crop(padding=2)"


def test_blocks_that_are_absent_keep_their_columns() -> None:
    flat = flatten(trial())
    assert (flat["ema.decay"], flat["sam.rho"], flat["clip.value"]) == (None, None, None)
    assert flatten(trial(ema={})).keys() == flat.keys()
    assert "ema" not in flat


def test_every_value_of_a_flat_trial_is_a_scalar() -> None:
    assert all(isinstance(value, bool | int | float | str | None) for value in flatten(trial()).values())


def test_options_at_their_default_are_left_out_of_lists() -> None:
    assert (
        flatten(trial(augmentations=[{"name": "flip", "p": 0.5}, {"name": "crop", "padding": 4}]))["augmentations"]
        == "flip,crop"
    )
    assert flatten(trial(augmentations=[]))["augmentations"] == "none"
