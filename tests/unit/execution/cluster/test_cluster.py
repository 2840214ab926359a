"""Addresses of clusters, and what must be of the places that a command there names."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cifar_tune.errors import ClusterError, ResultsError
from cifar_tune.execution.cluster.cluster import (
    BELOW_TEMPORARY,
    LONGEST_SOCKET,
    ON_HEAD,
    address_of,
    check_address,
    check_lasting,
    choose_short_folder,
)
from cifar_tune.execution.cluster.head import check_paths
from cifar_tune.storage.address import Address

CLIENT = "ray://head:10001"


def test_the_option_comes_before_the_variable_and_on_the_head_its_own_cluster_before_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RAY_ADDRESS", ON_HEAD):
        monkeypatch.delenv(name, raising=False)
    assert address_of(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "other:6379")
    assert (address_of(None), address_of("auto")) == ("other:6379", "auto")
    monkeypatch.setenv(ON_HEAD, "10.0.0.1:6379")
    assert address_of(CLIENT) == "10.0.0.1:6379"


def test_results_in_rays_copy_of_a_working_directory_are_refused(tmp_path: Path) -> None:
    check_lasting(tmp_path / "results")
    copy = tmp_path / "session_latest" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1f" / "results" / "x"
    with pytest.raises(ResultsError, match=r"copy of this job's working directory.*--results /PATH"):
        check_lasting(copy)


def test_a_path_that_begins_at_the_root_means_the_same_on_the_cluster() -> None:
    check_paths(CLIENT, [("--results", Address.parse("s3://bucket/x"))], [])
    check_paths(CLIENT, [("--results", Path("/shared/x"))], [("--data", None), ("--data", Path("/data"))])


@pytest.mark.parametrize(
    ("results", "data", "message"),
    [
        (None, None, "name a folder that all nodes see: --results /PATH"),
        (Path("results/x"), None, "--results results/x: the sweep runs on the cluster; give the path there, from its"),
        (Path("/shared/x"), Path("data"), "--data data: the sweep runs on the cluster"),
    ],
)
def test_another_path_is_refused(results: Path | None, data: Path | None, message: str) -> None:
    with pytest.raises(ClusterError) as raised:
        check_paths(CLIENT, [("--results", results)], [("--data", data)])
    assert str(raised.value).startswith(f"--address {CLIENT}: ")
    assert message in str(raised.value)


def test_a_stale_address_is_told_with_the_variable_or_the_option_that_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ClusterError, match=rf"^RAY_ADDRESS={address}: .*`unset RAY_ADDRESS` runs on this machine"):
        check_address(address)
    monkeypatch.setenv("RAY_ADDRESS", "other:6379")
    with pytest.raises(ClusterError, match=rf"^--address {address}: ") as raised:
        check_address(address)
    assert "unset" not in str(raised.value)


def test_rays_folder_is_short_enough_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    most = LONGEST_SOCKET - len(BELOW_TEMPORARY)
    monkeypatch.setenv("TMPDIR", "/" + "x" * (most - 1))
    choose_short_folder()
    assert "RAY_TMPDIR" not in os.environ
    monkeypatch.setenv("TMPDIR", "/" + "x" * most)
    choose_short_folder()
    assert len(os.environ["RAY_TMPDIR"]) <= most
    monkeypatch.setenv("RAY_TMPDIR", "/" + "é" * most)
    with pytest.raises(ClusterError, match=f"^RAY_TMPDIR=.* at most {most} "):
        choose_short_folder()
