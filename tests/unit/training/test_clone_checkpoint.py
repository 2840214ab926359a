"""A trial that begins from another's checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.training.clone_checkpoint import clone_checkpoint, origin_of
from cifar_tune.training.manifest import FORMAT, sealed


def checkpoint(folder: Path, epoch: int) -> Path:
    folder.mkdir(parents=True)
    files = {"model.safetensors": "", "state.pt": "", "trial.json": ""}
    manifest = {"format": FORMAT, "epoch": epoch, "dataset": {}, "files": files, "history": []}
    (folder / "manifest.json").write_bytes(sealed(manifest))
    (folder / "model.safetensors").write_text(f"weights of epoch {epoch}")
    return folder


def test_a_trial_gets_the_checkpoint_of_exactly_that_epoch(tmp_path: Path) -> None:
    checkpoint(tmp_path / "t0001" / "last", 5)
    checkpoint(tmp_path / "t0001" / "previous", 4)
    clone_checkpoint(tmp_path / "t0007", tmp_path / "t0001", 4)
    assert (tmp_path / "t0007" / "last" / "model.safetensors").read_text() == "weights of epoch 4"
    assert origin_of(tmp_path / "t0007" / "last") == ("t0001", 4)


def test_where_there_is_no_such_checkpoint_it_gets_none(tmp_path: Path) -> None:
    checkpoint(tmp_path / "t0001" / "last", 5)
    (tmp_path / "t0001" / "previous").mkdir()
    clone_checkpoint(tmp_path / "t0007", tmp_path / "t0001", 4)
    assert not (tmp_path / "t0007").exists()


@pytest.mark.parametrize("name", ["last", "previous"])
def test_a_trial_that_has_begun_keeps_its_own(tmp_path: Path, name: str) -> None:
    checkpoint(tmp_path / "t0001" / "last", 4)
    checkpoint(tmp_path / "t0007" / name, 6)
    clone_checkpoint(tmp_path / "t0007", tmp_path / "t0001", 4)
    assert [path.name for path in (tmp_path / "t0007").iterdir()] == [name]


def test_a_trial_of_fresh_weights_has_no_origin(tmp_path: Path) -> None:
    assert origin_of(checkpoint(tmp_path / "t0001" / "last", 5)) is None
