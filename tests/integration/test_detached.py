"""Sweeps that outlive their terminal, as Ray jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.detached import TRIALS
from tests.integration.hosts import played

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("aiohttp", reason="needs Ray's dashboard: pip install 'ray[default]'")
    return played("tests.integration.detached", tmp_path_factory.mktemp("detached"), seconds=800)


@pytest.fixture(scope="module")
def ended(folder: Path) -> dict[str, dict[str, Any]]:
    """How each command ended."""
    return json.loads((folder / "ended.json").read_text())


def tables(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tuple(pd.read_parquet(folder / "results" / name / f"{table}.parquet") for table in ("trials", "epochs"))


def assert_whole(folder: Path, name: str) -> None:
    """Every trial that was begun is done, with every epoch once."""
    trials, epochs = tables(folder, name)
    assert set(trials.status) == {"completed"}
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
    assert (epochs.groupby("trial_id").epoch.count() == 6).all()
    assert len(epochs) == 6 * len(trials)


def test_a_job_goes_on_to_its_end_when_its_terminal_is_killed(folder: Path, ended: dict[str, dict[str, Any]]) -> None:
    assert ended["terminal"]["status"] != 0
    assert "succeeded" in ended["killed"]["status"]
    assert f"{TRIALS}/{TRIALS} trials" in ended["killed"]["out"] or "completed" in ended["killed"]["out"]
    assert_whole(folder, "killed")
    assert len(tables(folder, "killed")[0]) == TRIALS


def test_a_job_that_is_stopped_saves_as_after_ctrl_c_and_another_goes_on(
    folder: Path, ended: dict[str, dict[str, Any]]
) -> None:
    assert "stopped" in ended["stopped"]["status"]
    assert "interrupted; every finished epoch is saved. To go on:" in ended["stopped"]["out"]
    assert "running" not in ended["stopped"]["trials"]
    assert "interrupted" in ended["stopped"]["trials"]
    assert ended["resumed"]["status"] == 0
    assert_whole(folder, "stopped")


def test_results_that_would_go_with_the_job_are_refused(ended: dict[str, dict[str, Any]]) -> None:
    assert ended["copied"]["status"] != 0
    assert "lies in Ray's copy of this job's working directory" in ended["copied"]["out"] + ended["copied"]["err"]
