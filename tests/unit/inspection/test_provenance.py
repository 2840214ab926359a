"""What an export says of its network: what was measured of these weights, and of no others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_tune.cli.export import of_results, provenance_of
from cifar_tune.inspection.export import export
from cifar_tune.layout import CONFIRM_FOLDER
from cifar_tune.results import ResultsStore
from cifar_tune.results.confirmations import PLANNED, SCORED, ConfirmationsFile
from cifar_tune.training.checkpoint import read_checkpoint


def test_the_test_score_of_weights_that_were_there_before_is_not_the_networks(
    checkpoints: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    ResultsStore.create(folder, sweep_name="s").close()
    best = Path(shutil.copytree(checkpoints, folder / "checkpoints" / "t1")) / "best"
    checkpoint = read_checkpoint(best)
    first = replace(checkpoint, training={"history": checkpoint.training["history"][:1]})
    with ResultsStore.create(folder / CONFIRM_FOLDER, sweep_name="s") as store:
        plan = {"source": "t1", "configuration": "()", "trained_on": "train", "reason": "evaluate"}
        store.note(PLANNED, trial_id="t1-0", retrained=False, **plan)
        store.update_trial("t1-0", status="completed", seed=0, checkpoint="../checkpoints/t1/best")
        store.add_epoch("t1-0", 1, validation_accuracy=0.75)
        store.note(SCORED, trial_id="t1-0", test_accuracy=0.875, test_loss=0.25)
    ConfirmationsFile(folder).publish()
    assert provenance_of(first, best).test_accuracy == 0.875
    assert len(checkpoint.history) == 2
    assert provenance_of(checkpoint, best).test_accuracy is None


def test_an_export_names_its_initial_weights_and_not_their_place(checkpoints: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(checkpoints / "best")
    trial = checkpoint.trial.model_copy(update={"initial_weights": "/home/me/secret/theirs.pth"})
    export(replace(checkpoint, trial=trial), tmp_path / "x")
    assert json.loads((tmp_path / "x" / "trial.json").read_text())["initial_weights"] == "theirs.pth"
    assert "initial_weights: theirs.pth" in (tmp_path / "x" / "README.md").read_text()
    assert not any(b"secret" in file.read_bytes() for file in (tmp_path / "x").iterdir())


@pytest.mark.parametrize("place", ["/model/best", "/model"])
def test_of_a_checkpoint_high_up_on_the_disk_no_results_folder_tells(place: str) -> None:
    assert of_results(Path(place), 1) == {}
