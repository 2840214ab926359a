"""Runs a command on the head of a cluster for a machine that is not a node of it, over Ray's client.

What the command writes comes back as it is written; its results stay on the cluster. The command ends with the
connection; Ray then kills what its worker has started, and the results are those of a driver that was killed.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from cifar_tune.errors import ClusterError
from cifar_tune.execution.cluster.client import joined
from cifar_tune.execution.cluster.cluster import ON_HEAD, named_address
from cifar_tune.execution.interruption import Interruption
from cifar_tune.storage.address import Address

Piece = tuple[str, str]
"""Name of a stream, and a line that the command wrote there."""

HEAD = {"node:__internal_head__": 0.001}
"""A part of the resource by which Ray knows its head."""

ANSWER_SECONDS = 1.0
"""The longest time in which the command is not asked whether the user has pressed Ctrl-C."""

STOPPED = 128 + signal.SIGINT
"""Status of a command that was stopped before it listened; as a shell gives it after Ctrl-C."""

ENDS_WITH = "while kill -0 {parent}; do sleep 1; done; kill -TERM {child}"
"""A shell that ends the command where its actor is gone and Ray has not killed what that had started."""


class Command:
    """A command on this machine, from its start to its end. An actor."""

    def __init__(self, words: Sequence[str], files: Mapping[str, str], columns: int) -> None:
        """words: of `python -m`. files: texts to write below the folder that it runs in. columns: of the terminal."""
        self._folder = TemporaryDirectory()
        for name, text in files.items():
            path = Path(self._folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self._folder.name,
            env=_environment(columns),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        watcher = ENDS_WITH.format(parent=os.getpid(), child=self._process.pid)
        subprocess.Popen(
            watcher, shell=True, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._written: queue.Queue[Piece] = queue.Queue()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: IO[str]) -> None:
        for line in stream:
            self._written.put((name, line))

    def written(self) -> tuple[list[Piece], int | None]:
        """Returns what it has written since the last call, and its exit status once it has ended."""
        over = not any(reader.is_alive() for reader in self._readers)
        pieces = []
        try:
            pieces.append(self._written.get(timeout=0 if over else ANSWER_SECONDS))
            while True:
                pieces.append(self._written.get_nowait())
        except queue.Empty:
            pass
        return pieces, self._process.wait() if over and not pieces else None

    def stop(self) -> None:
        """Tells it what Ctrl-C would."""
        self._process.send_signal(signal.SIGTERM)


def _environment(columns: int) -> dict[str, str]:
    """The variables of the command: of this machine, without those by which Ray knows a worker of its own."""
    import ray
    from ray._private.utils import remove_ray_internal_flags_from_env

    address = ray.get_runtime_context().gcs_address
    variables = {**os.environ, ON_HEAD: address, "COLUMNS": str(columns), "PYTHONUNBUFFERED": "1"}
    remove_ray_internal_flags_from_env(variables)
    return variables


def check_paths(
    address: str, needed: Sequence[tuple[str, Path | Address | None]], possible: Sequence[tuple[str, Path | None]]
) -> None:
    """Returns if places mean the same on the cluster as here: addresses, absolute paths. needed: that must be given.

    Raises:
        ClusterError: one does not.
    """
    for name, path in (*needed, *possible):
        if path is None and (name, path) in needed:
            raise ClusterError(
                f"{named_address(address)}: the sweep runs on the cluster and its results stay there; name a "
                f"folder that all nodes see: {name} /PATH"
            )
        if isinstance(path, Path) and not path.is_absolute():
            raise ClusterError(
                f"{named_address(address)}: {name} {path}: the sweep runs on the cluster; give the path there, "
                "from its root"
            )


def run_on_head(words: Sequence[str], *, address: str, files: Mapping[str, str]) -> int:
    """Runs `python -m` with these words on the head of the cluster at `address`; returns its exit status.

    files: texts that it is to find, by relative path.

    Raises:
        ClusterError: the cluster cannot be reached or cannot run it, or was lost.
    """
    with joined(address):
        import ray

        try:
            command = ray.remote(Command).options(num_cpus=0, resources=HEAD, max_concurrency=2)
            return _followed(command.remote(list(words), dict(files), shutil.get_terminal_size().columns))
        except (ray.exceptions.RayError, ConnectionError) as error:
            told = str(error).strip().splitlines()[-1]
            raise ClusterError(
                f"the cluster at {address} does not run cifar_tune any more, or cannot: {told}"
            ) from error


def _followed(command: Any) -> int:
    """Writes here what the command writes there, and passes on Ctrl-C; returns its exit status."""
    import ray

    status: int | None = None
    stopping = False
    with Interruption() as interruption:
        while status is None:
            pieces, status = ray.get(command.written.remote())
            for name, line in pieces:
                stream = sys.stdout if name == "stdout" else sys.stderr
                stream.write(line)
                stream.flush()
            if interruption.requested and not stopping:
                stopping = True
                ray.get(command.stop.remote())
    return STOPPED if status == -signal.SIGTERM else status
