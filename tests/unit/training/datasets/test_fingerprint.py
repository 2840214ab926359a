"""What is said of a data set that has changed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cifar_tune.training.datasets.fingerprint import DataFingerprint

A, B = list(range(10)), list(range(100, 120))


def fingerprint(by_class: dict[str, list[int]], test: dict[str, list[int]] | None = None) -> DataFingerprint:
    def part(pictures: dict[str, list[int]]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(len(pictures)), [len(one) for one in pictures.values()])
        return labels, np.array([identity for one in pictures.values() for identity in one], dtype=np.uint64)

    parts = {"train": part(by_class), "test": part(test or {name: [] for name in by_class})}
    return DataFingerprint.of(tuple(by_class), parts, by_content=True)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"toast": A, "waffles": [*B, 1, 2**63]}, "30 pictures then, 32 now: 2 added in waffles"),
        ({"toast": A[1:], "waffles": B}, "30 pictures then, 29 now: 1 removed from toast"),
        ({"toast": B, "waffles": A}, "30 pictures then, 30 now: 20 moved from waffles to toast, 10 moved from toast"),
        ({"toast": A, "waffles": [*B[1:], 7000]}, "30 now: 1 added in waffles, 1 removed from waffles"),
        ({"bread": A, "waffles": B}, "class bread is new, class toast is gone"),
        ({"toast": A[::-1], "waffles": B}, "the same pictures in another order"),
    ],
)
def test_changes_are_told_by_class(now: dict[str, list[int]], told: str) -> None:
    changes = fingerprint({"toast": A, "waffles": B}).changes(fingerprint(now))
    assert changes is not None
    assert told in changes


def test_nothing_is_said_of_a_set_that_is_the_same() -> None:
    assert fingerprint({"toast": A, "waffles": B}).changes(fingerprint({"toast": A, "waffles": B})) is None


def test_pictures_that_have_moved_to_the_test_split_are_counted() -> None:
    before = fingerprint({"toast": A, "waffles": B}, {"toast": [50], "waffles": [51]})
    now = fingerprint({"toast": A[1:], "waffles": B}, {"toast": [0, 50], "waffles": [51]})
    assert before.changes(now) == "32 pictures then, 32 now: 1 moved to the test split"


def test_it_survives_a_round_trip_through_json() -> None:
    before = fingerprint({"toast": [0, 2**64 - 1], "waffles": B}, {"toast": [3], "waffles": []})
    again = DataFingerprint.from_json(json.loads(json.dumps(before.as_json())))
    assert again.digest == before.digest
    assert before.changes(again) is None
