"""Whether somebody still answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cifar_tune.errors import ClusterError
from cifar_tune.execution.cluster import ray_health
from cifar_tune.execution.cluster.ray_health import RayHealthCheck, RayLost, answers

PATIENCE_SECONDS = 60.0

STUCK = """
import sys, time
from cifar_tune.execution.cluster import ray_health
ray_health.PERIOD_SECONDS = 0.01
with ray_health.RayHealthCheck({"raylet": ("127.0.0.1", int(sys.argv[1]))}, silent=0.1, grace=0.1):
    time.sleep(600)
"""


@pytest.fixture
def service() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as service:
        yield service


@pytest.fixture(autouse=True)
def short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_health, "PERIOD_SECONDS", 0.01)


def check_until_lost(listening: RayHealthCheck) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        listening.check()
        time.sleep(0.01)


def test_a_service_answers_until_it_is_gone(service: socket.socket) -> None:
    address = service.getsockname()
    assert answers(address)
    service.close()
    assert not answers(address)


def test_one_that_answers_is_not_lost(service: socket.socket) -> None:
    with RayHealthCheck({"raylet": service.getsockname()}, silent=0.1) as listening:
        time.sleep(0.3)
        listening.check()
    assert listening.lost is None


def test_one_that_is_silent_for_too_long_is_lost_and_an_error_that_says_which(service: socket.socket) -> None:
    host, port = service.getsockname()
    service.close()
    with pytest.raises(ClusterError) as raised, RayHealthCheck({"raylet": (host, port)}, silent=0.1) as listening:
        check_until_lost(listening)
    assert str(raised.value) == (
        f"Ray is gone: its raylet at {host}:{port} has not answered for 0 s; every epoch that was reported is saved, "
        "and --resume goes on from there"
    )


def test_what_is_raised_passes_by_those_who_catch_exceptions() -> None:
    assert not issubclass(RayLost, Exception)


@pytest.mark.slow
def test_a_process_that_is_stuck_is_ended_with_the_message(service: socket.socket) -> None:
    port = service.getsockname()[1]
    service.close()
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(port)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 2
    assert f"Ray is gone: its raylet at 127.0.0.1:{port} has not answered" in done.stderr
    assert "--resume goes on" in done.stderr
