"""Runs the commands of `docker/` on hosts of this machine, without containers, Slurm, AWS or Kubernetes.

python -m tests.integration.deployments FOLDER, within namespaces
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.integration.hosts import REPOSITORY, Host, Hosts

DOCKER = REPOSITORY / "docker"
PROGRAMS = str(Path(sys.executable).parent)
PATIENCE_SECONDS = 300.0

SMALLER = (("trials_per_study: 10 ", "trials_per_study: 1"), ("epochs: 8", "epochs: 2"))

SRUN = """#!{python}
import os, sys
(host,) = [word.split("=")[1] for word in sys.argv if word.startswith("--nodelist=")]
words = sys.argv[1:]
while words[0].startswith("--"):
    words = words[1:]
commands = {commands}
os.execvp("nsenter", [*commands[host], *words])
"""


def documents(name: str) -> list[Any]:
    """What a YAML file of `docker/` holds."""
    return list(YAML(typ="safe", pure=True).load_all(DOCKER / name))


def main(folder: Path) -> None:
    work = folder / "work"
    (work / "sweeps").mkdir(parents=True)
    (work / "shared").mkdir()
    sweep = (REPOSITORY / "sweeps" / "quickstart.yaml").read_text()
    for written, instead in SMALLER:
        assert written in sweep
        sweep = sweep.replace(written, instead)
    for name in ("quickstart", "cifar10_to_94"):
        (work / "sweeps" / f"{name}.yaml").write_text(sweep)
    with Hosts(folder / "programs") as hosts:
        there = {name: hosts.add(name) for name in ("head", "worker1", "worker2")}
        names = folder / "hosts"
        names.write_text("127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in there.values()))
        for host in there.values():
            host.run("mount", "--bind", str(names), "/etc/hosts", seconds=30)
        compose(work, *there.values())
        rayjob(work, there["head"])
        nodes = launcher(work, there["head"], there["worker1"])
        (folder / "launcher.json").write_text(json.dumps(nodes))
        for host in there.values():
            host.run(f"{PROGRAMS}/ray", "stop", "--force", seconds=PATIENCE_SECONDS)
        slurm(folder, work, there["head"], there["worker1"])


def process(work: Path, host: Host, command: list[str], **variables: str) -> subprocess.Popen[bytes]:
    """Starts a command of a container on a host."""
    path = f"{PROGRAMS}{os.pathsep}{host.environment()['PATH']}"
    return subprocess.Popen(host.command(*command, folder=work), env=host.environment(**{"PATH": path, **variables}))


def ends_well(started: subprocess.Popen[bytes]) -> bool:
    """Whether it ended with status 0, within the time that all have."""
    return started.wait(PATIENCE_SECONDS) == 0


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(1)


def compose(work: Path, head: Host, *workers: Host) -> None:
    """As `docker compose up` does: the workers once the head is healthy; the head's command is the sweep."""
    (document,) = documents("compose.yaml")
    services = document["services"]
    assert services["worker"]["deploy"]["replicas"] == len(workers)
    main = process(work, head, services["head"]["command"])
    check = services["head"]["healthcheck"]["test"]
    assert check[0] == "CMD"
    wait_until(lambda: ends_well(process(work, head, check[1:])))
    for host in workers:
        process(work, host, services["worker"]["command"])
    assert ends_well(main)


def rayjob(work: Path, head: Host) -> None:
    """The entry point of the job, on a head that runs."""
    _, job = documents("rayjob.yaml")
    assert ends_well(process(work, head, shlex.split(job["spec"]["entrypoint"])))


def launcher(work: Path, head: Host, worker: Host) -> int:
    """How many nodes live after the commands with which the launcher starts Ray; without what only AWS has."""
    (cluster,) = documents("cluster.yaml")
    for host, kind in ((head, "head"), (worker, "worker")):
        for command in cluster[f"{kind}_start_ray_commands"]:
            here = command.replace(" --autoscaling-config=~/ray_bootstrap_config.yaml", "")
            assert ends_well(process(work, host, ["bash", "-c", here], RAY_HEAD_IP=head.address))
    counted = "import ray; ray.init('auto', log_to_driver=False); print(sum(node['Alive'] for node in ray.nodes()))"
    return int(head.run(sys.executable, "-c", counted, seconds=PATIENCE_SECONDS).split()[-1])


def slurm(folder: Path, work: Path, *nodes: Host) -> None:
    """As `sbatch` runs the script: on the first node, with programs that speak as Slurm's do."""
    programs = folder / "slurm"
    programs.mkdir()
    commands = {host.name: host.command(folder=work) for host in nodes}
    for name, content in {
        "srun": SRUN.format(python=sys.executable, commands=commands),
        "scontrol": "#!/bin/sh\n" + "".join(f"echo {host.name}\n" for host in nodes),
    }.items():
        (programs / name).write_text(content)
        (programs / name).chmod(0o755)
    variables = {
        "PATH": f"{programs}{os.pathsep}{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NODELIST": ",".join(host.name for host in nodes),
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_GPUS_PER_NODE": "0",
    }
    words = ["sweeps/quickstart.yaml", "--results", "results/slurm"]
    script = subprocess.Popen(
        ["bash", str(DOCKER / "sweep.sbatch"), *words],
        cwd=work,
        env={**nodes[0].environment(), **variables},
        start_new_session=True,
    )
    assert ends_well(script)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
