"""Hosts on this machine: each has its own network card, name, processes, Ray folder and `nvidia-smi`. Linux only.

A script makes `Hosts` after it was started by `played`, and needs no rights for it: it is root of a user
namespace, whose end takes all hosts with it.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from tests.integration.cluster_of_unlike_nodes import Cards, install_nvidia_smi

REPOSITORY = Path(__file__).parents[2]

NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child")
HOST = ("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
ENTER = ("nsenter", "--net", "--mount", "--uts", "--pid", "--target")

RAY_PORT = 6379
NO_DASHBOARD = ("--include-dashboard=false",)
OBJECT_STORE_BYTES = 80 * 10**6
"""Ray's least is 75 MiB."""

ALONE = {"RAY_memory_monitor_refresh_ms": "0"}
"""What other processes of this machine take is not a reason to end a trial here."""

TOKEN = secrets.token_hex(32)
"""Clusters of Ray admit nobody without one."""

PATIENCE_SECONDS = 180.0


def _why_not_here() -> str | None:
    """What keeps this machine from having hosts; None if nothing does."""
    try:
        trial = subprocess.run(
            [*NAMESPACES, "--mount-proc", *HOST, "mount", "-t", "tmpfs", "none", "/tmp"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except OSError as error:
        return f"needs unshare of util-linux: {error}"
    return None if trial.returncode == 0 else f"needs namespaces, which are refused here: {trial.stderr.strip()}"


def played(scene: str, folder: Path, *, seconds: float) -> Path:
    """Runs the module of a scene, `python -m SCENE FOLDER`, to its end where it can make hosts; returns the folder.

    Skips the tests that need it where there can be none.
    """
    if (reason := _why_not_here()) is not None:
        pytest.skip(reason)
    command = [*NAMESPACES, "--mount-proc", sys.executable, "-m", scene, str(folder)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def environment(**more: str) -> dict[str, str]:
    """The variables under which the hosts' processes find this code."""
    paths = [str(REPOSITORY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), **more}


class Host:
    """One host, from its making to its end."""

    def __init__(self, name: str, number: int, folder: Path, cards: Cards) -> None:
        self.name = name
        self.address = f"10.77.0.{number}"
        install_nvidia_smi(folder / name, cards)
        self._cards = len(cards)
        self._path = f"{folder / name}{os.pathsep}{os.environ['PATH']}"
        self._holder = subprocess.Popen([*HOST, "sleep", "infinity"])
        self._first = child_of(self._holder)

    def connect(self) -> None:
        """Plugs the host into the bridge."""
        from pyroute2 import IPRoute

        with IPRoute() as network:
            network.link("add", ifname=self.name, kind="veth", peer={"ifname": "eth0", "net_ns_pid": self._first})
            bridge = network.link_lookup(ifname="bridge")[0]
            (index,) = network.link_lookup(ifname=self.name)
            network.link("set", index=index, master=bridge, state="up")
        self.run(sys.executable, "-m", "tests.integration.hosts", self.name, self.address, seconds=30)

    def cut_off(self) -> None:
        """Pulls the plug; the processes there go on."""
        from pyroute2 import IPRoute

        with IPRoute() as network:
            (index,) = network.link_lookup(ifname=self.name)
            network.link("set", index=index, state="down")

    def kill(self) -> None:
        """Ends every process of the host at once."""
        os.kill(self._first, 9)
        self._holder.wait()

    def kill_processes(self, *names: str) -> None:
        """Ends the processes of the host that have these names."""
        here = pid_namespace(self._first)
        killed = [one for one in psutil.process_iter() if one.name() in names and pid_namespace(one.pid) == here]
        assert {process.name() for process in killed} == set(names)
        for process in killed:
            process.kill()

    def kill_titled(self, title: str) -> bool:
        """Ends the processes of the host that call themselves so; whether there was one."""
        here = pid_namespace(self._first)
        found = [one for one in psutil.process_iter(["cmdline"]) if title in " ".join(one.info["cmdline"] or ())]
        killed = [process for process in found if pid_namespace(process.pid) == here]
        for process in killed:
            process.kill()
        return bool(killed)

    def hide(self, folder: Path) -> None:
        """Gives the host an empty folder of its own in place of this one."""
        self.run("mount", "-t", "tmpfs", "none", str(folder), seconds=30)

    def start_ray(
        self,
        cores: int,
        head: str | None = None,
        services: Sequence[str] = NO_DASHBOARD,
        **variables: str,
    ) -> None:
        """Starts Ray's processes here: a cluster of its own, or one more node of the cluster at `head`.

        services: options of a head.
        """
        joined = ("--head", f"--port={RAY_PORT}", *services) if head is None else (f"--address={head}",)
        self.run(
            str(Path(sys.executable).with_name("ray")),
            "start",
            *joined,
            f"--node-ip-address={self.address}",
            f"--num-cpus={cores}",
            f"--num-gpus={self._cards}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--disable-usage-stats",
            seconds=PATIENCE_SECONDS,
            **variables,
        )

    def run(self, *words: str, seconds: float, check: bool = True, **variables: str) -> str:
        """What the command writes; its errors too."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{self.name}: {shlex.join(words)}\n{done.stdout}"
        return done.stdout

    def command(self, *words: str, folder: Path = REPOSITORY) -> list[str]:
        """The words that run a command on this host, in a folder."""
        return [*ENTER, str(self._first), f"--wd={folder}", *words]

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a process of this host."""
        return environment(**{"PATH": self._path, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, **ALONE, **more})


def pid_namespace(pid: int) -> str:
    """What processes of one host have in common; empty of a process that has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def child_of(process: subprocess.Popen[Any]) -> int:
    """The process that one which entered a namespace has started there, once it has; signals are for it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(found[0])


class Hosts(ExitStack):
    """All hosts of a script, joined by a bridge."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._count = 0

    def __enter__(self) -> Self:
        from pyroute2 import IPRoute

        with IPRoute() as network:
            network.link("add", ifname="bridge", kind="bridge")
            (index,) = network.link_lookup(ifname="bridge")
            network.link("set", index=index, state="up")
        return self

    def add(self, name: str, cards: Cards = ()) -> Host:
        """A new host."""
        self._count += 1
        host = Host(name, self._count, self._folder, cards)
        host.connect()
        return host


def settle(name: str, address: str) -> None:
    """Runs on the host: takes its name and address, and a Ray folder of its own."""
    import socket

    from pyroute2 import IPRoute

    socket.sethostname(name)
    with IPRoute() as network:
        for interface in ("lo", "eth0"):
            (index,) = network.link_lookup(ifname=interface)
            if interface == "eth0":
                network.addr("add", index=index, address=address, prefixlen=24)
            network.link("set", index=index, state="up")
    Path("/tmp/ray").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/tmp/ray"], check=True)


if __name__ == "__main__":
    settle(*sys.argv[1:])
