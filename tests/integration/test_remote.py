"""Sweeps of a machine that is not a node of the cluster, over Ray's client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.hosts import played

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("grpc", reason="needs Ray's client: pip install 'ray[client]'")
    return played("tests.integration.remote", tmp_path_factory.mktemp("remote"), seconds=800)


@pytest.fixture(scope="module")
def ended(folder: Path) -> dict[str, dict[str, Any]]:
    """How each command ended."""
    return json.loads((folder / "ended.json").read_text())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nobody", ["no Ray cluster answers there", "python -m ray.util.client.server --address HEAD:6379"]),
        ("another", ["who answers there is no client server of Ray's", "at port 10001", "which is not its --port"]),
    ],
)
def test_an_address_without_a_client_server_is_refused(
    folder: Path, ended: dict[str, dict[str, Any]], name: str, parts: list[str]
) -> None:
    assert ended[name]["status"] == 2
    assert "Traceback" not in ended[name]["err"]
    for part in parts:
        assert part in ended[name]["err"]
    assert not (folder / "results" / "refused").exists()


def test_ctrl_c_here_stops_and_saves_there(ended: dict[str, dict[str, Any]]) -> None:
    assert ended["interrupted"]["status"] == 130
    assert "interrupted; every finished epoch is saved. To go on:" in ended["interrupted"]["err"]
    assert "--address ray://" in ended["interrupted"]["err"]
    assert "interrupted" in ended["interrupted"]["trials"]
    assert "running" not in ended["interrupted"]["trials"]


def test_the_same_command_with_resume_ends_the_sweep_there_and_shows_it_here(
    folder: Path, ended: dict[str, dict[str, Any]]
) -> None:
    told = ended["continued"]
    assert told["status"] == 0, told
    assert " trials, " in told["out"].splitlines()[0], "its progress"
    assert "Best completed trials" in told["out"], "its table"
    trials, epochs = (
        pd.read_parquet(folder / "results" / "interrupted" / f"{t}.parquet") for t in ("trials", "epochs")
    )
    assert set(trials.status) == {"completed"}
    assert set(trials.node) == {"head"}
    assert len(epochs) == 6 * len(trials)
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
