"""Sweeps of a machine that is not a node of the cluster, over Ray's client; notes how each ended.

python -m tests.integration.remote FOLDER, within namespaces
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.detached import ENOUGH, LONG, Scene, wait_until
from tests.integration.hosts import NO_DASHBOARD, RAY_PORT, Hosts, child_of

PORT = 10002
"""Not that of the server that `ray start` brings up, or not: it gives up where the raylet takes 30 s."""

UNHURRIED = {"GRPC_ENABLE_FORK_SUPPORT": "0", "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120"}


def sweep(scene: Scene, name: str, *words: str, port: int = PORT) -> list[str]:
    """The words of a sweep over Ray's client."""
    address = f"ray://{scene.head.address}:{port}"
    return [sys.executable, "-m", "cifar_tune.sweep", "small.yaml", "--address", address, *scene.kept(name), *words]


def start_server(scene: Scene) -> None:
    """As docs/clusters.md says where there is none."""
    words = ["--address", f"{scene.head.address}:{RAY_PORT}", "--port", str(PORT)]
    subprocess.Popen(
        scene.head.command(sys.executable, "-m", "ray.util.client.server", *words),
        env=scene.head.environment(**UNHURRIED),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: scene.answers(PORT))


def main(folder: Path) -> None:
    with Hosts(folder / "programs") as hosts:
        scene = Scene(hosts, folder, services=NO_DASHBOARD, port=RAY_PORT)
        scene.run("nobody", sweep(scene, "refused"))
        scene.run("another", sweep(scene, "refused", port=RAY_PORT))
        start_server(scene)
        client = scene.started(sweep(scene, "interrupted", *LONG))
        scene.wait_for_epochs("interrupted", client)
        os.kill(child_of(client), signal.SIGINT)
        scene.note("interrupted", client)
        scene.write_down("interrupted", trials=scene.statuses("interrupted"))
        scene.run("continued", sweep(scene, "interrupted", *ENOUGH))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
