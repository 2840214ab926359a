"""Sweeps on a cluster that the user's machine is not a node of, as Ray jobs.

python -m tests.integration.detached FOLDER, within namespaces. Host `head` is a cluster; host `laptop` has its network
and its files, and no Ray.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results.ledger import events
from tests.integration.hosts import Hosts, child_of

DASHBOARD_PORT = 8265
SERVICES = ("--include-dashboard=true", "--dashboard-host=0.0.0.0")
STOP = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
"""What the head waits for, once a job was told to stop."""

PATIENCE_SECONDS = 400.0
STARTS, START_SECONDS = 4, 60.0
TRIALS = 3
LONG = ("--set", "trials_per_study=2000")
"""So many that the sweep does not end before it is stopped."""
ENOUGH = ("--resume", *LONG, "--set", "stop.trials=1")
"""Goes on with such a sweep until the trials that had begun are done."""

SWEEP = f"""
name: small
trial:
  dataset: {{name: digits, train_size: 200}}
  model: {{name: mininet, width: 4}}
  optimizer: {{name: sgd, lr: 0.1}}
  batch_size: 32
  epochs: 6
scheduler: {{name: none}}
trials_per_study: {TRIALS}
"""

Told = dict[str, object]


class Scene:
    """The two hosts, and how what was done there ended."""

    def __init__(
        self, hosts: Hosts, folder: Path, *, services: Sequence[str] = SERVICES, port: int = DASHBOARD_PORT
    ) -> None:
        """services: options of the head. port: where it listens once they are up."""
        self.folder = folder
        self.head, self.laptop = hosts.add("head"), hosts.add("laptop")
        self.ended: dict[str, Told] = {}
        self._start(services, port)
        self._work = folder / "work"
        self._work.mkdir()
        (self._work / "small.yaml").write_text(SWEEP)

    def _start(self, services: Sequence[str], port: int) -> None:
        """Starts the cluster; again where its services do not come up."""
        for _ in range(STARTS):
            self.head.start_ray(2, services=services, **STOP)
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline:
                if self.answers(port):
                    return
            self.head.run(str(Path(sys.executable).with_name("ray")), "stop", "--force", seconds=PATIENCE_SECONDS)
        raise AssertionError(f"nobody listens at {port}")

    def answers(self, port: int) -> bool:
        """Whether the head listens there; its services come up one after the other."""
        where = f"('{self.head.address}', {port})"
        asked = f"from cifar_tune.execution.cluster.ray_health import answers; print(answers({where}))"
        return self.laptop.run(sys.executable, "-c", asked, seconds=PATIENCE_SECONDS).strip() == "True"

    def results(self, name: str) -> Path:
        return self.folder / "results" / name

    def kept(self, name: str) -> tuple[str, str]:
        """The words that say where results go."""
        return ("--results", str(self.results(name)))

    def job(self, *words: str) -> list[str]:
        """The words of `ray job`."""
        program = str(Path(sys.executable).with_name("ray"))
        return [program, "job", words[0], "--address", f"http://{self.head.address}:{DASHBOARD_PORT}", *words[1:]]

    def submission(self, job: str, *words: str) -> list[str]:
        """The words that submit a sweep as a job."""
        sweep = [sys.executable, "-m", "cifar_tune.sweep", "small.yaml", *words]
        return self.job("submit", "--submission-id", job, "--working-dir", ".", "--", *sweep)

    def started(self, words: Sequence[str]) -> subprocess.Popen[str]:
        """A command on the laptop."""
        return subprocess.Popen(
            self.laptop.command(*words, folder=self._work),
            env=self.laptop.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, words: Sequence[str]) -> None:
        """Runs a command on the laptop to its end and notes how it ended."""
        self.note(name, self.started(words))

    def note(self, name: str, process: subprocess.Popen[str]) -> None:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        self.write_down(name, status=process.returncode, out=out, err=err)

    def write_down(self, name: str, **told: object) -> None:
        self.ended.setdefault(name, {}).update(told)
        (self.folder / "ended.json").write_text(json.dumps(self.ended))

    def note_job(self, job: str) -> None:
        """Waits for the end of a job."""
        wait_until(lambda: any(word in self._status(job) for word in ("succeeded", "failed", "was stopped")))
        logs = self.laptop.run(*self.job("logs", job), seconds=PATIENCE_SECONDS)
        self.write_down(job, status=self._status(job), out=logs)

    def _status(self, job: str) -> str:
        return self.laptop.run(*self.job("status", job), seconds=PATIENCE_SECONDS).lower()

    def wait_for_epochs(self, name: str, command: subprocess.Popen[str]) -> None:
        """Waits until trials of the sweep that the command runs have finished some epochs."""
        ledger = self.results(name) / LEDGER_NAME

        def begun() -> bool:
            assert command.poll() is None, command.communicate()
            return ledger.is_file() and sum(1 for _ in events(ledger, kind="epoch")) >= 3

        wait_until(begun)

    def statuses(self, name: str) -> list[str]:
        """The states of a sweep's trials, by the table."""
        return list(pd.read_parquet(self.results(name) / "trials.parquet").status)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def jobs(scene: Scene) -> None:
    """A job whose terminal is killed; one that is stopped and resumed; one whose results would not last."""
    terminal = scene.started(scene.submission("killed", *scene.kept("killed")))
    scene.wait_for_epochs("killed", terminal)
    os.kill(child_of(terminal), signal.SIGKILL)
    scene.note("terminal", terminal)
    scene.note_job("killed")
    terminal = scene.started(scene.submission("stopped", *scene.kept("stopped"), *LONG))
    scene.wait_for_epochs("stopped", terminal)
    scene.run("stop", scene.job("stop", "stopped"))
    scene.note_job("stopped")
    scene.write_down("stopped", trials=scene.statuses("stopped"))
    scene.run("resumed", scene.submission("resumed", *scene.kept("stopped"), *ENOUGH))
    scene.run("copied", scene.submission("copied"))


def main(folder: Path) -> None:
    with Hosts(folder / "programs") as hosts:
        jobs(Scene(hosts, folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
