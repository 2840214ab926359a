"""A small sweep whose names try to be HTML, and a client of its page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cifar_tune.dashboard.app import make_app
from cifar_tune.dashboard.live import LiveSweep
from cifar_tune.results import ResultsStore

SCRIPT = "<script>alert(1)</script>"
START = datetime(2026, 1, 1, tzinfo=UTC)

SWEEP_YAML = f"""\
# Question: is {SCRIPT} written as it is?

name: s
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {{float: [0.01, 0.1]}}
"""


def fill(store: ResultsStore) -> None:
    """Four completed trials of four epochs, one stopped at the rung of epoch 2, one failed."""
    for place, status in enumerate(["completed"] * 4 + ["stopped", "failed"]):
        trial_id = f"t{place}{SCRIPT if place == 5 else ''}"
        configuration = {
            "optimizer.lr": 0.1 if place % 2 else 0.01,
            "model.activation": "relu" if place < 2 else "mish",
        }
        started = START + timedelta(minutes=place)
        store.update_trial(trial_id, status="running", configuration=configuration, started_at=started)
        store.update_trial(trial_id, status="running", attempts=1, node="n0", device_name="H100")
        for epoch in range(1, {"completed": 5, "stopped": 3, "failed": 1}[status]):
            decided = {"decision": "stop" if status == "stopped" else "continue", "rung": 2, "rung_size": place + 1}
            rung = {**decided, "rung_rank": 1, "rung_cutoff": 0.25} if epoch == 2 else {}
            store.add_epoch(trial_id, epoch, validation_accuracy=(epoch + place) / 10, epoch_seconds=2.0, **rung)
        reason = "place 5 of 5" if status == "stopped" else None
        error = f"ValueError: {SCRIPT}" if status == "failed" else None
        ended = started + timedelta(minutes=1)
        store.update_trial(trial_id, status=status, status_reason=reason, error=error, ended_at=ended)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResultsStore]:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        yield store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "s"
    with ResultsStore.create(folder, sweep_name="s") as store:
        (folder / "sweep.yaml").write_text(SWEEP_YAML)
        fill(store)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    return TestClient(make_app(LiveSweep(folder)))
