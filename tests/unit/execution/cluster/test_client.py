"""Ray's client server, by what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cifar_tune.errors import ClusterError
from cifar_tune.execution.cluster.client import TRIES, joined

pytestmark = pytest.mark.slow

DIED = "RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for detailed logs."


@pytest.fixture
def died() -> Iterator[tuple[str, list[int]]]:
    """The address of a server that speaks as Ray's does whose children die, and a list with an entry for each."""
    grpc = pytest.importorskip("grpc", reason="needs Ray's client: pip install 'ray[client]'")
    from ray.core.generated import ray_client_pb2 as words
    from ray.core.generated import ray_client_pb2_grpc as services

    children: list[int] = []

    class Driver(services.RayletDriverServicer):
        def ClusterInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return words.ClusterInfoResponse(json=json.dumps({}))

    class Streamer(services.RayletDataStreamerServicer):
        def Datapath(self, requests: Any, context: Any) -> Any:  # noqa: N802
            asked = next(requests)
            children.append(asked.req_id)
            told = words.InitResponse(ok=False, msg=f"Traceback (most recent call last):\n  File ...\n{DIED}\n")
            yield words.DataResponse(init=told, req_id=asked.req_id)
            next(requests, None)  # an end of the stream could overtake what was told

    server = grpc.server(ThreadPoolExecutor())
    services.add_RayletDriverServicer_to_server(Driver(), server)
    services.add_RayletDataStreamerServicer_to_server(Streamer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"ray://127.0.0.1:{port}", children
    server.stop(None).wait()


def test_a_server_whose_children_die_is_asked_again_and_the_message_says_what_helps(
    died: tuple[str, list[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    address, children = died
    with pytest.raises(ClusterError) as raised, joined(address):
        pass
    assert len(children) == TRIES
    assert f"{address}: Ray's client server did not start; 1 more tries" in capsys.readouterr().err
    for part in (f"in {TRIES} tries: {DIED}", "GRPC_ENABLE_FORK_SUPPORT=0", "ray_client_server*"):
        assert part in str(raised.value)
