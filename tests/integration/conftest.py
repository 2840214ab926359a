"""One Ray for the tests of a file: to start it takes as long as a small sweep; other files want other cores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cifar_tune.execution.cluster.cluster import connected
from cifar_tune.execution.cluster.devices import Machine

ONE_CORE = Machine(cores=1, memory_bytes=8 * 10**9, gpus=())


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One core under a running Ray, so that trials follow each other in one worker, whatever this machine has."""
    with connected(ONE_CORE, address=None, log=tmp_path_factory.mktemp("ray") / "ray.log"):
        yield ONE_CORE
