"""A whole trial, watched from outside: whatever library opens a file, none of the test split is among them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = """
import json, sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)

from cifar_tune.training.epochs import trial_epochs
from cifar_tune.training.trial import TrialConfig

trial, root = TrialConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])
epochs = list(trial_epochs(trial, root=root, device="cpu", checkpoints=Path(sys.argv[3])))
trained = len(opened)
trial.dataset.load(root, "test")
print(json.dumps([len(epochs), opened[:trained], opened[trained:]]))
"""
SETS = {
    "cifar10": ({"name": "cifar10"}, r"/data_batch_1$", r"/test_batch$"),
    "cifar10-resized": ({"name": "cifar10", "resolution": 24}, r"train-24px", r"/test_batch$|-test-"),
    "cifar100": ({"name": "cifar100"}, r"/cifar-100-python/train$", r"/cifar-100-python/test$"),
    "food101": ({"name": "food101", "resolution": 16}, r"train-16px", r"/meta/test\.|-test-"),
}


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "needed", "sealed"), SETS.values(), ids=SETS)
def test_a_trial_opens_no_file_of_the_test_split(
    dataset: dict[str, object], needed: str, sealed: str, real_data: Path, tmp_path: Path
) -> None:
    trial = {
        "dataset": {**dataset, "train_size": 1000, "validation_fraction": 0.2},
        "model": {"name": "resnet18", "width": 2},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "epochs": 1,
    }
    arguments = [json.dumps(trial), str(real_data), str(tmp_path / "checkpoints")]
    watched = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        env={**os.environ, "CIFAR_TUNE_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert watched.returncode == 0, watched.stderr
    epochs, training, afterwards = json.loads(watched.stdout.splitlines()[-1])
    assert epochs == 1
    assert any(re.search(needed, path) for path in training)
    assert [path for path in training if re.search(sealed, path)] == []
    assert any(re.search(sealed, path) for path in afterwards)
    if dataset["name"] == "food101":
        listed = json.loads((real_data / "food-101" / "meta" / "test.json").read_text())
        photographs = {f"{image}.jpg" for images in listed.values() for image in images}
        assert not photographs & {"/".join(Path(path).parts[-2:]) for path in training}
