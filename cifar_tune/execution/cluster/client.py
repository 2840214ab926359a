"""Joins a cluster that this machine is not a node of: over the client server of Ray's that runs on its head."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

from cifar_tune.errors import ClusterError
from cifar_tune.execution.cluster.cluster import CLIENT, SWITCHES, named_address, why

ANSWER_SECONDS = 20.0
"""Within which a client server says that it is one, however busy its machine is."""

TRIES, PAUSE_SECONDS = 5, 1.0
"""For each client Ray forks a server out of a process in which gRPC's threads are at work, and some die of it before
they begin, 7 % by Source: https://github.com/ray-project/ray/issues/63202; here two in a row were seen. One that is
merely slow is given up by Ray after 30 s, and may have its files in memory the next time."""

IN_VAIN = (
    "Its log is on the head, in /tmp/ray/session_latest/logs/ray_client_server*. Where gRPC ends it at its start, or "
    "the head is slow: start Ray there with GRPC_ENABLE_FORK_SUPPORT=0 and "
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S=120 in its environment"
)


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Makes this process a client of the cluster at `address`, `ray://HOST:PORT`, and leaves it at the end.

    Raises:
        ClusterError: nobody there is a client server, or it does not let this machine in, or does not come up.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in SWITCHES.items()})
    import ray

    _check_server(address)
    for left in reversed(range(TRIES)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            break
        except ConnectionError as error:
            if not left:
                told = f"starts no server for this machine, in {TRIES} tries: {str(error).strip().splitlines()[-1]}"
                raise ClusterError(f"the Ray cluster at {address} {told} {IN_VAIN}") from error
            print(f"{address}: Ray's client server did not start; {left} more tries", file=sys.stderr, flush=True)
            time.sleep(PAUSE_SECONDS)
        except Exception as error:
            raise ClusterError(f"the Ray cluster at {address} could not be joined{why(error, address)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_server(address: str) -> None:
    """Returns if a client server of Ray's answers there and knows this machine's token.

    Ray itself takes any other answer for a server that is not ready yet, and asks on for half a minute.

    Raises:
        ClusterError: none does.
    """
    try:
        grpc: Any = import_module("grpc")
    except ImportError as error:
        raise ClusterError(
            f"{named_address(address)}: needs Ray's client, which is not installed: "
            f"pip install 'ray[client]=={version('ray')}'"
        ) from error
    from ray._private.grpc_utils import init_grpc_channel

    words: Any = import_module("ray.core.generated.ray_client_pb2")
    services: Any = import_module("ray.core.generated.ray_client_pb2_grpc")
    asked = words.ClusterInfoRequest(type=words.ClusterInfoType.PING)
    with init_grpc_channel(address.removeprefix(CLIENT)) as channel:
        try:
            services.RayletDriverStub(channel).ClusterInfo(asked, timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise ClusterError(
                    f"the Ray cluster at {address} lets in nobody without its token: set RAY_AUTH_MODE=token and "
                    "RAY_AUTH_TOKEN here as on its head"
                ) from error
            raise ClusterError(
                f"{named_address(address)}: who answers there is no client server of Ray's. That listens on the "
                "head, at port 10001 where `ray start` was not told another by --ray-client-server-port, which is not "
                f"its --port ({error.code().name}: {error.details()})"
            ) from error
