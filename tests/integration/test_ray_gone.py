"""A sweep whose Ray has died, or whose nodes have left, says so and ends; it can be resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.hosts import in_namespaces, why_not_here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

DIED = ("own", "both", "raylet", "gcs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (reason := why_not_here()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("gone")
    done = in_namespaces("tests.integration.ray_gone", str(folder), seconds=1400)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


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


def test_a_sweep_whose_nodes_left_says_what_it_waits_for_and_goes_on_with_one_that_joins(
    ended: dict[str, dict[str, Any]], folder: Path
) -> None:
    assert ended["late"]["status"] == 0
    trials = pd.read_parquet(folder / "results" / "late" / "trials.parquet")
    assert set(trials.node) == {"late1", "late2"} or set(trials.node) == {"late2"}
    assert (trials.epochs_trained == 300).all()
    assert "waits for a node with 2 CPU cores; there is head: 1 CPU core" in ended["late"]["told"]
    assert "; free: 1 of " in ended["late"]["told"]


def test_after_the_time_it_may_wait_it_ends(ended: dict[str, dict[str, Any]], folder: Path) -> None:
    assert ended["never"]["status"] == 2
    assert "resources.wait_hours: for 0.05 h no trial was at work; t" in ended["never"]["told"]
    statuses = set(pd.read_parquet(folder / "results" / "never" / "trials.parquet").status)
    assert "running" not in statuses
    assert "interrupted" in statuses
