"""What the nodes of a real Ray cluster say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.cluster_of_unlike_nodes import cluster_of

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.slow]

SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 200}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 32
  epochs: 2
trials_per_study: 2
"""


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cifar_tune.sweep", "small.yaml", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_a_plan_lists_every_card_of_a_cluster_and_a_sweep_runs_on_its_nodes(tmp_path: Path) -> None:
    """Ray itself knows a node by its first card, and no card's memory."""
    (tmp_path / "small.yaml").write_text(SWEEP)
    nodes = [(2, []), (2, ["NVIDIA H100 PCIe", "NVIDIA GeForce RTX 4060"])]
    with cluster_of(nodes, tmp_path / "programs") as address:
        planned = command("--plan", "--address", address, cwd=tmp_path)
        assert planned.returncode == 0, planned.stderr
        for part in (
            "1 x NVIDIA H100 PCIe (86 GB), 1 x NVIDIA GeForce RTX 4060 (9 GB)",
            "NVIDIA H100 PCIe (86 GB), 85.5 GB free, compute capability 9.0, bfloat16, driver 560.1",
            "NVIDIA GeForce RTX 4060 (9 GB), 8.6 GB free, compute capability 8.9, bfloat16, driver 560.1",
            "no GPU",
        ):
            assert part in planned.stdout
        trained = command("--address", address, "--set", "resources.gpus=0", cwd=tmp_path)
        assert trained.returncode == 0, trained.stderr
        refused = command("--address", address, "--set", "resources.card=A100", "--results", "other", cwd=tmp_path)
        assert refused.returncode == 2
        assert "resources.card: A100 is on no node; there is 1 x NVIDIA H100 PCIe (86 GB), 1 x " in refused.stderr
        assert not (tmp_path / "other").exists()
    trials = pd.read_parquet(tmp_path / "results" / "small" / "trials.parquet")
    assert set(trials.status) <= {"completed", "stopped"}
