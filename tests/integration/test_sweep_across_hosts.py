"""A sweep across hosts with networks, processes and cards of their own: cut off, killed, joined late; nothing lost."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cifar_tune.results.placements import read_placements
from tests.integration.cluster_of_unlike_nodes import MEBIBYTES
from tests.integration.hosts import played
from tests.integration.sweep_across_hosts import CARDS, H100, RTX4060
from tests.integration.sweep_on_cards import EPOCHS, NOTES, TRIALS

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

LOST = ("cut", "killed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played("tests.integration.sweep_across_hosts", tmp_path_factory.mktemp("hosts"), seconds=800)


@pytest.fixture(scope="module")
def stays(folder: Path) -> list[list[dict[str, Any]]]:
    """What workers noted themselves, by trial and worker: a line at the beginning, and one after each epoch."""
    found = defaultdict(list)
    for line in (folder / NOTES).read_text().splitlines():
        entry = json.loads(line)
        found[entry["trial"], entry["host"], entry["pid"]].append(entry)
    return list(found.values())


@pytest.fixture(scope="module")
def events(folder: Path) -> dict[str, float]:
    """When each host was lost."""
    return json.loads((folder / "events.json").read_text())


def test_every_trial_ends_once_with_every_epoch_once(folder: Path) -> None:
    trials = pd.read_parquet(folder / "results" / "trials.parquet")
    assert len(trials) == trials.trial_id.nunique() == TRIALS
    assert set(trials.status) == {"completed"}
    epochs = pd.read_parquet(folder / "results" / "epochs.parquet")
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
    assert len(epochs) == TRIALS * EPOCHS


def test_trials_of_lost_hosts_go_on_elsewhere_from_their_last_checkpoint(
    folder: Path, stays: list[list[dict[str, Any]]], events: dict[str, float]
) -> None:
    attempts = pd.read_parquet(folder / "results" / "trials.parquet").set_index("trial_id").attempts
    for name in LOST:
        unfinished = [stay for stay in stays if stay[0]["host"] == name and stay[-1]["epoch"] < EPOCHS]
        assert unfinished
        for stay in unfinished:
            trial = stay[0]["trial"]
            later = [other for other in stays if other[0]["trial"] == trial and other[0]["at"] > events[name]]
            assert later[-1][-1]["epoch"] == EPOCHS
            assert attempts[trial] >= 2
            assert all(other[0]["host"] not in LOST for other in later)
        assert any(
            other[0]["replayed"] >= stay[-1]["epoch"] >= 1
            for stay in unfinished
            for other in stays
            if other[0]["trial"] == stay[0]["trial"] and other[0]["at"] > events[name]
        ), "the one in whose middle the host was lost"


def test_a_host_that_joins_late_takes_part(stays: list[list[dict[str, Any]]], events: dict[str, float]) -> None:
    joined = [stay for stay in stays if stay[0]["host"] == "late"]
    assert joined
    assert all(stay[0]["at"] > events["killed"] for stay in joined)


def test_no_card_is_overfull_in_any_moment_by_the_log_of_placements(folder: Path) -> None:
    log = read_placements(folder / "results")
    assert len(log) > TRIALS, "some trials were placed twice"
    assert log.ended_at.notna().all()
    for host, on_host in log.groupby("node"):
        (card,) = set(CARDS[host])
        assert set(on_host.card) == {card}
        for moment in on_host.began_at:
            there = on_host[(on_host.began_at <= moment) & (moment < on_host.ended_at)]
            assert there.gpus.sum() <= len(CARDS[host])
            assert there.gpu_memory_reserved_bytes.sum() <= len(CARDS[host]) * MEBIBYTES[card] * 2**20
            assert (there.gpu_memory_reserved_bytes <= MEBIBYTES[card] * 2**20).all()


def test_no_card_is_overfull_in_any_moment_by_what_workers_noted(stays: list[list[dict[str, Any]]]) -> None:
    by_card = defaultdict(list)
    for stay in stays:
        assert stay[0]["node"] == stay[0]["asked_node"]
        assert stay[0]["visible"] in map(str, range(len(CARDS[stay[0]["host"]]))), "one card, of those that it has"
        by_card[stay[0]["host"], stay[0]["visible"]].append(stay)
    for (host, _), there in by_card.items():
        (card,) = set(CARDS[host])
        for moment in (stay[0]["at"] for stay in there):
            at_once = [stay[0] for stay in there if stay[0]["at"] <= moment <= stay[-1]["at"]]
            assert sum(entry["share"] for entry in at_once) <= 1.0
            assert sum(entry["bytes"] for entry in at_once) <= MEBIBYTES[card] * 2**20


def test_shares_follow_from_the_memory_of_trial_and_card(folder: Path) -> None:
    log = read_placements(folder / "results")
    trials = pd.read_parquet(folder / "results" / "trials.parquet").set_index("trial_id")
    widths = trials["trial.model.width"].astype(int)[log.trial_id].to_numpy()
    small, large = log[log.card == RTX4060], log[log.card == H100]
    assert small.gpus.nunique() > 1
    assert (log[widths == widths.max()].loc[lambda rows: rows.card == RTX4060].gpus > 0.5).all()
    assert large.gpus.max() < small.gpus.max()
