"""What a cluster cannot do is said before the first trial, by node, and no results folder is left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

import cifar_tune
from tests.integration.hosts import played
from tests.integration.refusals_on_hosts import OTHER_RAY, OTHER_VERSION

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """How each command ended."""
    folder = played("tests.integration.refusals_on_hosts", tmp_path_factory.mktemp("refusals"), seconds=600)
    return json.loads((folder / "ended.json").read_text())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gpus", ["a trial is to have 4 GPUs of one node; there is ", "1 x NVIDIA GeForce RTX 4060 (9 GB)"]),
        ("gpu_memory", ["resources.gpu_memory: a trial is to have 40 GB; there is ", "at most 8.6 GB are free"]),
        ("no token", ["could not be joined", "must run on one of its nodes", "RAY_AUTH_TOKEN"]),
        ("not a node", ["could not be joined", "must run on one of its nodes", "ray start --address=10.77.0.1:6379"]),
        ("no cluster", ["the Ray cluster at auto could not be joined: none runs on this machine; start it with"]),
        ("other Ray", ["must have the same Ray and Python", "The cluster was started with: Ray: ", f": {OTHER_RAY} "]),
        ("nodes", ["node small (", "): cannot read and write the results folder ", "; all nodes must see one"]),
        ("nodes", ["node small (", "): data set folder: ", "/data/pictures is not there"]),
        ("nodes", ["node stranger (", f"): has cifar_tune {OTHER_VERSION}; the driver has {cifar_tune.__version__}"]),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_run_the_sweep_says_why(
    ended: dict[str, dict[str, Any]], name: str, parts: list[str]
) -> None:
    assert ended[name]["status"] == 2
    assert ended[name]["out"] == ""
    assert "Traceback" not in ended[name]["err"]
    for part in parts:
        assert part in ended[name]["err"]


def test_no_results_folder_is_left_behind(ended: dict[str, dict[str, Any]]) -> None:
    assert {name: end["left"] for name, end in ended.items() if end["left"]} == {"nodes": ["results"]}, (
        "but the one that was there before, and is still empty"
    )
