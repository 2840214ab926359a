"""A sweep whose Ray has died says so and ends, and can be resumed; one without a place says what it waits for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.hosts import played
from tests.integration.ray_gone import EPOCHS

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1300)]

DIED = ("own", "raylet", "gcs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played("tests.integration.ray_gone", tmp_path_factory.mktemp("gone"), seconds=1200)


@pytest.fixture(scope="module")
def ended(folder: Path) -> dict[str, dict[str, Any]]:
    """How each sweep ended, and what it wrote."""
    return json.loads((folder / "ended.json").read_text())


@pytest.mark.parametrize("name", DIED)
def test_a_sweep_whose_ray_died_says_so_and_ends(ended: dict[str, dict[str, Any]], name: str) -> None:
    assert ended[name]["status"] == 2
    assert "Ray is gone: its " in ended[name]["told"]
    assert "--resume goes on from there" in ended[name]["told"]
    assert "Traceback" not in ended[name]["told"]


@pytest.mark.parametrize("name", DIED)
def test_it_is_resumed_on_another_ray_and_no_epoch_is_lost_or_doubled(
    folder: Path, ended: dict[str, dict[str, Any]], name: str
) -> None:
    assert ended[f"{name} resumed"]["status"] == 0, ended[f"{name} resumed"]["told"]
    trials, epochs = (pd.read_parquet(folder / "results" / name / f"{table}.parquet") for table in ("trials", "epochs"))
    assert set(trials.status) == {"completed"}
    assert len(epochs) == 6 * len(trials)
    assert not epochs.duplicated(["trial_id", "epoch"]).any()


def test_a_worker_that_is_killed_as_it_starts_or_for_want_of_memory_costs_no_trial(
    folder: Path, ended: dict[str, dict[str, Any]]
) -> None:
    assert ended["workers"]["status"] == 0, ended["workers"]["told"]
    assert "Traceback" not in ended["workers"]["told"]
    trials, epochs = (
        pd.read_parquet(folder / "results" / "workers" / f"{table}.parquet") for table in ("trials", "epochs")
    )
    assert list(trials.status) == ["completed", "completed"]
    assert list(trials.epochs_trained) == [EPOCHS, EPOCHS]
    assert trials.set_index("trial_id").attempts["t0002"] >= 2
    assert not epochs.duplicated(["trial_id", "epoch"]).any()


def test_a_sweep_without_a_place_ends_with_what_it_waited_for_and_resumed_takes_a_node_that_joins(
    folder: Path, ended: dict[str, dict[str, Any]]
) -> None:
    assert ended["waits"]["status"] == 2
    told = ended["waits"]["told"]
    assert "resources.wait_hours: for 0.005 h no trial was at work; t0001 waits for a worker with 1 CPU core" in told
    assert "on held; there is held: 1 CPU core" in told
    assert "; free: 0 of 1 CPUs. Every epoch that was reported is saved, and --resume goes on from there" in told
    assert "Traceback" not in told
    assert ended["waits resumed"]["status"] == 0, ended["waits resumed"]["told"]
    trials = pd.read_parquet(folder / "results" / "waits" / "trials.parquet")
    assert set(trials.status) == {"completed"}
    assert "late" in set(trials.node)
