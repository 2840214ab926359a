"""Dotted paths into trees."""

from __future__ import annotations

import pytest

from cifar_tune.config.paths import get, locate, replace, with_default_names
from cifar_tune.training.trial import TrialConfig

TREE = {
    "augmentations": [{"name": "flip"}, {"name": "crop", "padding": 4}],
    "pair": [{"name": "flip"}, {"name": "flip"}, 3],
    "none": [],
    "ema": None,
    "epochs": 3,
}


@pytest.mark.parametrize(
    ("path", "loc"),
    [
        ("epochs", ("epochs",)),
        ("augmentations.1.padding", ("augmentations", 1, "padding")),
        ("augmentations.crop.padding", ("augmentations", 1, "padding")),
        ("ema.decay", ("ema", "decay")),
        ("new.block.key", ("new", "block", "key")),
    ],
)
def test_a_path_leads_by_keys_indices_and_names(path: str, loc: tuple[str | int, ...]) -> None:
    assert locate(TREE, path) == loc


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("augmentations.cutout.p", "`augmentations` holds no `cutout`; it holds flip, crop"),
        ("augmentations.7", "`augmentations` has no item 7; 0 to 1 are there"),
        ("none.0", "`none` has no item 0; it is empty"),
        ("none.flip", "`none` holds no `flip`; it is empty"),
        ("pair.flip.p", "`pair` holds `flip` 2 times; say which by its index, from 0"),
        ("epochs.x", "`epochs` is a single value, there is no `x` in it"),
        ("a..b", "the path 'a..b' has an empty part"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, message: str) -> None:
    with pytest.raises(LookupError) as caught:
        locate(TREE, path)
    assert caught.value.args[0] == message


def test_replacing_copies_the_way_and_leaves_the_original() -> None:
    changed = replace(TREE, ("augmentations", 1, "padding"), 2)
    assert get(changed, ("augmentations", 1)) == {"name": "crop", "padding": 2}
    assert get(TREE, ("augmentations", 1, "padding")) == 4
    assert replace(TREE, ("ema", "decay"), 0.9)["ema"] == {"decay": 0.9}


def test_reading_what_is_not_there_is_a_key_error() -> None:
    for loc in (("epochs", "x"), ("none", 0), ("x",)):
        with pytest.raises(KeyError):
            get(TREE, loc)


def test_components_left_to_their_default_are_there_by_name() -> None:
    assert with_default_names({"loss": {}}, TrialConfig) == {"loss": {}, "schedule": {"name": "onecycle"}}
    assert with_default_names(3, TrialConfig) == 3
