"""The first lines of docs/clusters.md, on machines where earlier sweeps have left tokens of Ray's."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
SMALL = "--num-cpus=1 --object-store-memory=100000000 --disable-usage-stats"
ALONE = "--include-dashboard=false --node-ip-address=127.0.0.1"
SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 2
"""


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """A folder of its own for a Ray; whatever was started with it is ended."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder
        for process in psutil.process_iter():
            try:
                if process.environ().get("RAY_TMPDIR") == folder:
                    process.kill()
            except psutil.Error:
                continue


def recipe() -> list[str]:
    text = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("\n\n") if "ray start --head" in part)
    return [line.partition(" #")[0].strip() for line in block.splitlines()]


def test_the_first_lines_of_the_page_bring_up_a_cluster_whatever_tokens_lie_there(
    tmp_path: Path, ray_folder: str
) -> None:
    (tmp_path / "small.yaml").write_text(SWEEP)
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        head, client = (f"127.0.0.1:{one.getsockname()[1]}" for one in (free, other))
    token = secrets.token_hex(32)
    export, *lines = recipe()
    assert [line.split()[0] for line in lines] == ["ray", "ray", "python"]

    def run(machine: str, line: str) -> str:
        home = tmp_path / machine
        (home / ".ray").mkdir(parents=True, exist_ok=True)
        (home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        done = subprocess.run(
            ["bash", "-c", f"{export.replace('SECRET', token)}\n{line}"],
            cwd=tmp_path,
            env={
                **inherited,
                "HOME": str(home),
                "RAY_TMPDIR": ray_folder,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(REPOSITORY),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    start, join, sweep = lines
    port, client_port = head.rpartition(":")[2], client.rpartition(":")[2]
    run("one", f"{start.replace('6379', port)} --ray-client-server-port={client_port} {ALONE} {SMALL}")
    run("two", f"{join.replace('HEAD:6379', head)} {SMALL}")
    planned = run("two", f"{sweep.replace('sweeps/x.yaml', 'small.yaml')} --plan")
    assert planned.count("of disk free") == 2, planned
