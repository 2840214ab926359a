"""Commands on a cluster that cannot run what they ask for; writes down how each ended and what it left behind.

python -m tests.integration.refusals_on_hosts FOLDER, within namespaces
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from tests.integration.hosts import RAY_PORT, REPOSITORY, Host, Hosts

RTX4060 = "NVIDIA GeForce RTX 4060"
OTHER_VERSION = "0.0.9"
OTHER_RAY = "2.0.0"

SWEEP = """
name: small
trial:
  dataset: {name: folder, path: pictures, resolution: 8}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 2
  epochs: 1
trials_per_study: 2
"""


def main(folder: Path) -> None:
    work = folder / "work"
    work.mkdir()
    (work / "small.yaml").write_text(SWEEP)
    draw_pictures(work / "data" / "pictures")
    ended: dict[str, dict[str, object]] = {}

    def run(name: str, host: Host, address: str, *words: str, **variables: str) -> None:
        command = [sys.executable, "-m", "cifar_tune.sweep", "small.yaml", "--data", "data", "--address", address]
        done = subprocess.run(
            host.command(*command, *words, folder=work),
            env=host.environment(**variables),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        left = sorted(path.name for path in work.iterdir() if path.name not in ("small.yaml", "data"))
        ended[name] = {"status": done.returncode, "out": done.stdout, "err": done.stderr, "left": left}

    with Hosts(folder / "programs") as hosts:
        head, small, stranger = hosts.add("head"), hosts.add("small", [RTX4060]), hosts.add("stranger")
        address = f"{head.address}:{RAY_PORT}"
        head.start_ray(1)
        small.start_ray(1, address)
        run("gpus", head, address, "--set", "resources.gpus=4", "--set", "trial.batch_size=8")
        run("gpu_memory", head, address, "--set", "resources.gpu_memory=40")
        run("no token", head, address, RAY_AUTH_TOKEN="0" * 64)
        run("other Ray", head, address, **changed_ray(folder / "other_ray"))
        run("not a node", stranger, address)
        run("no cluster", stranger, "auto")
        small.hide(work / "data")
        (work / "results").mkdir()
        small.hide(work / "results")
        stranger.start_ray(1, address, **changed_package(folder / "other_version"))
        run("nodes", head, address)
        (work / "results").rmdir()
    (folder / "ended.json").write_text(json.dumps(ended))


def draw_pictures(folder: Path) -> None:
    """Writes ten pictures of each of two classes."""
    for split in ("train", "test"):
        for shade, name in ((0, "dark"), (255, "light")):
            (folder / split / name).mkdir(parents=True)
            for number in range(10):
                Image.new("RGB", (8, 8), (shade, shade, number)).save(folder / split / name / f"{number}.png")


def changed_ray(folder: Path) -> Mapping[str, str]:
    """Variables with which a process takes its Ray for another version."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import ray\nray.__version__ = {OTHER_RAY!r}\n")
    return {"PYTHONPATH": f"{folder}:{REPOSITORY}"}


def changed_package(folder: Path) -> Mapping[str, str]:
    """Variables with which a node has another version of this package."""
    shutil.copytree(REPOSITORY / "cifar_tune", folder / "cifar_tune")
    version = folder / "cifar_tune" / "__init__.py"
    version.write_text(f'{version.read_text()}\n__version__ = "{OTHER_VERSION}"\n')
    return {"PYTHONPATH": str(folder)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
