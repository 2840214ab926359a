"""How many children of a gRPC server die before they begin, as those of Ray's client server do; needs grpcio.

python benchmarks/forks.py [COUNT]
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

VARIABLE = "GRPC_ENABLE_FORK_SUPPORT"
SERVE = "serve"


def child(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:  # noqa: ARG001
    """A child started as Ray does it: with a `preexec_fn`, which makes Python fork."""
    next(requests)
    process = subprocess.Popen(["true"], preexec_fn=lambda: None)
    yield str(process.wait()).encode()


def serve() -> None:
    """Prints the port that it listens at."""
    server = grpc.server(ThreadPoolExecutor(100))
    handlers = {"child": grpc.stream_stream_rpc_method_handler(child)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("forks", handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def statuses(count: int, support: str) -> list[int]:
    """How `count` children ended, one after the other; negative: by a signal."""
    words = [sys.executable, __file__, SERVE]
    environment = {**os.environ, VARIABLE: support}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{server.stdout.readline().strip()}") as channel:
            ask = channel.stream_stream("/forks/child")
            ended = [int(answer) for _ in range(count) for answer in ask(iter([b""]))]
        server.kill()
    return ended


if __name__ == "__main__":
    if sys.argv[1:] == [SERVE]:
        serve()
    else:
        count = int(sys.argv[1]) if sys.argv[1:] else 200
        for support in ("1", "0"):
            died = sum(status != 0 for status in statuses(count, support))
            print(f"grpc {grpc.__version__}, {VARIABLE}={support}: {died} of {count} children died")
