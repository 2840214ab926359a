"""A sweep whose trials have cards that this machine does not have: placed as they ask, trained small and on the CPU.

python -m tests.integration.sweep_on_cards FOLDER ADDRESS
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cifar_tune.config.load import load_sweep
from cifar_tune.execution.cluster.devices import this_machine
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.isolation import ProcessState
from cifar_tune.execution.messages import Assignment, EpochReport, Message
from cifar_tune.execution.trainable import TrialRunner
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

NOTES, GATE = "notes.jsonl", "gate"

EPOCHS, TRIALS = 4, 20
EPOCH_SECONDS = 0.2

SWEEP = f"""
name: hosts
trial:
  dataset: {{name: digits, train_size: 200}}
  model: {{name: resnet18}}
  optimizer: {{name: sgd, lr: 0.1}}
  batch_size: 128
  epochs: {EPOCHS}
search:
  batch_size: {{choice: [64, 128]}}
  model.width: {{choice: [64, 256, 384]}}
sampler: {{name: random}}
scheduler: {{name: none}}
trials_per_study: {TRIALS}
"""


class OnTheCpu(TrialRunner):
    """Trains a net of the smallest width; notes where, with which card, and from which epoch on.

    After its first epoch each trial waits until the gate is open, so that hosts are lost in the middle of trials.
    """

    def prepare_process(self, assignment: Assignment) -> ProcessState | None:
        return super().prepare_process(replace(assignment, device="cpu"))

    def reports(self, assignment: Assignment) -> Iterator[Message]:
        import ray

        trial = TrialConfig.model_validate_json(assignment.trial_json)
        small = trial.model_copy(update={"model": trial.model.model_copy(update={"width": 2})})
        found = CheckpointFolder(Path(assignment.checkpoints)).newest()
        replayed = 0 if found is None else len(found.history)
        place = {
            "trial": assignment.trial_id,
            "pid": os.getpid(),
            "host": platform.node(),
            "asked_node": assignment.resources.node_id,
            "node": ray.get_runtime_context().get_node_id(),
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "share": assignment.resources.gpus,
            "bytes": assignment.resources.memory_bytes,
            "replayed": replayed,
        }
        note({**place, "epoch": replayed})
        for message in super().reports(replace(assignment, device="cpu", trial_json=small.model_dump_json())):
            if isinstance(message, EpochReport):
                if message.metrics.epoch > replayed:
                    note({**place, "epoch": message.metrics.epoch})
                    time.sleep(EPOCH_SECONDS)
                    while not Path(os.environ["NOTES"]).with_name(GATE).exists():
                        time.sleep(EPOCH_SECONDS)
                message = replace(message, metrics=replace(message.metrics, peak_memory_bytes=1))
            yield message


def note(values: dict[str, object]) -> None:
    """Appends a line to the file that all hosts share."""
    with Path(os.environ["NOTES"]).open("a") as file:
        file.write(json.dumps({**values, "at": time.time()}) + "\n")


def main(folder: Path, address: str) -> None:
    (folder / "hosts.yaml").write_text(SWEEP)
    sweep = load_sweep(folder / "hosts.yaml")
    with ResultsStore.create(folder / "results", sweep_name=sweep.name) as store, Interruption() as interruption:
        run_trials(
            Search(sweep, store),
            store,
            asked=sweep.resources,
            root=folder,
            machine=this_machine(),
            address=address,
            interruption=interruption,
            refresh=lambda _: None,
            runner=OnTheCpu,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
