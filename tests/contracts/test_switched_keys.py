"""A key that another key switches off is refused where a sweep varies it.

Every key is changed beside every telling value of every other key of its member: each of those that a schema lists, and
0 and 1. Beside each it must count, or a grid over it must be refused: its heat map would show noise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.errors import ConfigError
from tests.contracts.test_every_key_counts import (
    EFFECTS,
    GROUPS,
    TRIAL,
    Effect,
    Kind,
    counts,
    differ,
    effect_of,
    grid_is_refused,
    keys_of,
    listed_values,
    name_of,
    one_thread,
    options_of,
    parts_of,
    refusal,
    taught,
    teacher,
    untouched_batch,
)

__all__ = ["one_thread", "teacher"]  # fixtures

MAY_STAY = {
    ("lion.beta2", "beta1"): "beta1 may be the schedule's, which then is not 0",
    ("mininet.squeeze_factor", "width"): "of a width of 1 all factors of 8 and more leave one channel",
}
"""Keys that a telling value of another one switches off without being refused, and why."""


def telling_values(kind: Kind, key: str) -> Iterator[Any]:
    yield from listed_values(kind, key)
    for part in parts_of(kind.model_fields[key].annotation):
        if part in (int, float):
            yield from (part(0), part(1))


@pytest.mark.parametrize(
    ("group", "kind", "key", "effect"),
    [
        one
        for group in ("optimizer", "rest", "schedule", "augmentation", "loss", "model", "stem", "part", "stopping")
        for one in keys_of(group, EFFECTS[group])
    ],
)
def test_beside_every_telling_value_of_another_key_it_counts_or_is_refused(
    group: str, kind: Kind, key: str, effect: Effect, teacher: str, tmp_path: Path
) -> None:
    base = options_of(group, kind) | taught(kind, teacher)
    idle: dict[str, Any] = {}
    for other in [field for field in kind.model_fields if field not in ("name", key)]:
        for value in telling_values(kind, other):
            options = {**base, other: value}
            if refusal(kind, options) != "" or counts(group, kind, key, options, effect):
                continue
            if not grid_is_refused(group, kind, key, options, tmp_path):
                idle[other] = value
    expected = {other for switched, other in MAY_STAY if switched == f"{name_of(kind)}.{key}"}
    assert idle.keys() == expected, f"{name_of(kind)}.{key} does nothing beside {idle}, and a sweep over it is taken"


DISTINCT: dict[str, dict[str, Any]] = {"optimizer": {"weight_decay": 0.1}, "step": {"every": 2}}
"""What sets members apart: AdamW without weight decay is Adam, and a step beyond the last epoch leaves the lr alone."""


@pytest.mark.parametrize("group", ["optimizer", "rest", "schedule", "augmentation", "loss", "model"])
def test_no_two_members_compute_the_same(group: str, teacher: str) -> None:
    seen = {}
    for kind in GROUPS[group]:
        apart = DISTINCT.get(name_of(kind), DISTINCT.get(group, {}))
        seen[name_of(kind)] = effect_of(kind, options_of(group, kind) | taught(kind, teacher) | apart, EFFECTS[group])
    assert [pair for pair in combinations(seen, 2) if not differ(seen[pair[0]], seen[pair[1]])] == []


@pytest.mark.parametrize("kind", GROUPS["augmentation"], ids=name_of)
def test_an_augmentation_with_its_defaults_changes_the_batch_or_is_refused(kind: Kind, tmp_path: Path) -> None:
    options = {"name": name_of(kind)}
    before, after = untouched_batch(kind.model_validate(options)), effect_of(kind, options, EFFECTS["augmentation"])
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps({"name": "idle", "trial": {**TRIAL, "augmentations": [options]}}), encoding="utf-8")
    if differ(before, after):
        load_sweep(file, new=True)
    else:
        with pytest.raises(ConfigError, match=r"augmentations\.0\.name: has no effect"):
            load_sweep(file, new=True)
