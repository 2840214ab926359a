"""Notices that Ray has died: its own calls then wait, or end the process after a minute without a word."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from cifar_tune.errors import ClusterError
from cifar_tune.execution.cluster.nodes import described_here

Address = tuple[str, int]

PERIOD_SECONDS = 2.0

SILENT_SECONDS = 40.0
"""After which a service that nobody answers for is gone. Less than the 60 s after which Ray ends a process that has
lost its cluster (`gcs_rpc_server_reconnect_timeout_s`)."""

GRACE_SECONDS = 20.0
"""For the driver to end when Ray is gone; it may be stuck in a call of Ray's."""

STATUS = 2
"""Of a process that is ended; as of every error that the user can act upon."""

SAVED = "every epoch that was reported is saved, and --resume goes on from there"


class RayLost(BaseException):
    """Ray is gone. Not an Exception: Tune would answer it by calling Ray."""


class RayHealthCheck:
    """Listens, in a thread of its own, whether the services of Ray answer. A context.

    Where the driver does not end by itself once they are gone, the thread ends the process.
    """

    def __init__(
        self, services: Mapping[str, Address], *, silent: float = SILENT_SECONDS, grace: float = GRACE_SECONDS
    ) -> None:
        """services: where each listens, by its name. silent, grace: in seconds."""
        self._services = dict(services)
        self._silent, self._grace = silent, grace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.lost: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if isinstance(error, RayLost):
            raise ClusterError(f"{self.lost}; {SAVED}") from None

    def check(self) -> None:
        """Raises RayLost if a service has been silent for too long."""
        if self.lost is not None:
            raise RayLost

    def _listen(self) -> None:
        heard = dict.fromkeys(self._services, time.monotonic())
        while self.lost is None:
            if self._over.wait(PERIOD_SECONDS):
                return
            for name, address in self._services.items():
                if answers(address):
                    heard[name] = time.monotonic()
                elif time.monotonic() - heard[name] >= self._silent:
                    host, port = address
                    self.lost = f"Ray is gone: its {name} at {host}:{port} has not answered for {self._silent:.0f} s"
        if not self._over.wait(self._grace):
            print(f"{self.lost}; {SAVED}", file=sys.stderr, flush=True)
            os._exit(STATUS)


def answers(address: Address) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(address, timeout=PERIOD_SECONDS).close()
    except OSError:
        return False
    return True


def services_of_ray() -> dict[str, Address]:
    """Returns where the services listen without which this process can do nothing: of the cluster, and of its node."""
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    here = described_here()
    return {
        "control service (GCS)": (host.strip("[]"), int(port)),
        "raylet": (here["NodeManagerAddress"], here["NodeManagerPort"]),
    }
