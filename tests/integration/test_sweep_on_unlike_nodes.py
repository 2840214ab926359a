"""Placement as it happened: every card's memory in every moment, from the log of a sweep on a real Ray cluster."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.cluster_of_unlike_nodes import MEBIBYTES
from tests.integration.sweep_on_unlike_nodes import NODES, RTX4060

pytestmark = pytest.mark.slow

Spans = dict[tuple[str, str], list[tuple[float, float, dict[str, Any]]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unlike")
    command = [sys.executable, "-m", "tests.integration.sweep_on_unlike_nodes", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def spans(folder: Path) -> Spans:
    """By (node, card): when which stay of a trial began and was last heard of. A stay is one worker's."""
    notes = [json.loads(line) for line in (folder / "places.jsonl").read_text().splitlines()]
    stays: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for note in notes:
        stays[note["trial"], note["pid"]].append(note)
    found: Spans = defaultdict(list)
    for stay in stays.values():
        found[stay[0]["node"], stay[0]["visible"]].append((stay[0]["at"], stay[-1]["at"], stay[0]))
    return found


def test_every_trial_ends_once_though_a_node_dies(folder: Path) -> None:
    trials = pd.read_parquet(folder / "results" / "trials.parquet")
    assert len(trials) == 24
    assert set(trials.status) == {"completed"}
    epochs = pd.read_parquet(folder / "results" / "epochs.parquet")
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
    assert len(epochs) == 24 * 3


def test_no_card_is_overfull_in_any_moment(spans: Spans) -> None:
    for stays in spans.values():
        for moment, _, _ in stays:
            there = [note for began, ended, note in stays if began <= moment <= ended]
            assert sum(note["share"] for note in there) <= 1.0
            smallest = min(MEBIBYTES.values()) if there[0]["bytes"] < 9 * 10**9 else max(MEBIBYTES.values())
            assert sum(note["bytes"] for note in there) <= smallest * 2**20


def test_a_trial_sees_the_one_card_that_it_was_given_on_the_node_that_was_meant(spans: Spans) -> None:
    notes = [note for stays in spans.values() for _, _, note in stays]
    for note in notes:
        assert note["visible"] == str(note["card"][0])
        assert len(note["card"]) == 1
        assert note["node"] == note["asked_node"]


def test_unlike_trials_get_unlike_shares_and_a_large_card_holds_more(spans: Spans) -> None:
    most = {
        place: max(sum(began <= moment <= ended for began, ended, _ in stays) for moment, _, _ in stays)
        for place, stays in spans.items()
    }
    assert max(most.values()) >= 4
    shares = {note["share"] for stays in spans.values() for _, _, note in stays}
    assert len(shares) >= 3
    small_cards = sum(cards.count(RTX4060) for _, cards in NODES)
    assert 2 <= len(spans) <= small_cards + 1


def test_workers_are_kept_where_resources_are_equal(spans: Spans) -> None:
    workers = {note["pid"] for stays in spans.values() for _, _, note in stays}
    stays = list(itertools.chain(*spans.values()))
    assert len(workers) < len(stays)
