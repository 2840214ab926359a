"""Object stores for tests: servers of this machine that speak the protocols of S3 and of Google."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cifar_tune.storage.address import file_system

PATIENCE_SECONDS = 60.0


class Server:
    """A store's server. Buckets are made, and rights are taken, over its own protocol."""

    def __init__(self, *command: str) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = [sys.executable, "-m", *(word.format(port=self.port) for word in command)]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._listens():
            assert time.monotonic() < deadline, "the store does not answer"
            assert self._process.poll() is None, "the store has ended"
            time.sleep(0.1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, content: object = None) -> None:
        """Sends a request; text as it is, else as JSON."""
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode() if content else None
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=kind, method=method)
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_SECONDS)

    def _listens(self) -> bool:
        with closing(socket.socket()) as trying:
            return trying.connect_ex(("127.0.0.1", self.port)) == 0


class S3(Server):
    """moto's server. Source: docs.getmoto.org, server mode and `reset-auth`."""

    def __init__(self) -> None:
        super().__init__("moto.server", "-H", "127.0.0.1", "-p", "{port}")

    def make(self, bucket: str) -> None:
        self.ask("PUT", f"/{bucket}")

    def forbid(self, bucket: str, action: str, keys: str = "*") -> None:
        """Lets nobody do this in the bucket, to objects of these keys."""
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": [action],
            "Resource": f"arn:aws:s3:::{bucket}/{keys}",
        }
        self.ask("PUT", f"/{bucket}?policy", {"Version": "2012-10-17", "Statement": [statement]})

    def know_nobody(self, *, after: float = 0) -> None:
        """From now on, or after so many requests, no credentials are accepted."""
        self.ask("POST", "/moto-api/reset-auth", str(after))


class Google(Server):
    """gcp-storage-emulator."""

    def __init__(self) -> None:
        super().__init__("gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", "{port}", "--in-memory")

    def make(self, bucket: str) -> None:
        self.ask("POST", "/storage/v1/b?project=p", {"name": bucket})


class Hasty:
    """Stands before a store and asks it; who sends more than a question is hung up on before it is read.

    So is what a busy server's answer to a refused write becomes, if the connection is closed with the write unread.
    """

    def __init__(self, store: Server) -> None:
        self._store = store
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._answering = threading.Thread(target=self._answer)
        self._answering.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def end(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._answering.join(timeout=PATIENCE_SECONDS)
        self._listening.close()

    def _answer(self) -> None:
        while True:
            try:
                asking, _ = self._listening.accept()
            except OSError:
                return
            with asking:
                head = _until_blank_line(asking)
                if b"transfer-encoding:" in head:
                    at_once = struct.pack("ii", 1, 0)
                    asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    continue
                with socket.create_connection(("127.0.0.1", self._store.port), timeout=PATIENCE_SECONDS) as store:
                    store.sendall(head)
                    while answer := store.recv(65536):
                        asking.sendall(answer)


def _until_blank_line(asking: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (more := asking.recv(65536)):
        head += more
    return head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


@contextmanager
def running(kind: type[S3] | type[Google], cache: Path) -> Iterator[S3 | Google]:
    """Yields a server that this process, and those it starts, find as users' do: by environment variables."""
    server = kind()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
            patch.delenv(name)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", server.url)
        file_system.cache_clear()
        try:
            yield server
        finally:
            file_system.cache_clear()
            server.end()
