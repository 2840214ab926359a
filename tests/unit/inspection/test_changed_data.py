"""A trial on pictures: its data are found again, and when they have changed, the commands say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.cli import evaluate, train
from cifar_tune.cli.arguments import picture_files

TRIAL = """
dataset: {name: folder, path: photos, resolution: 8, validation_fraction: 0.3}
model: {name: resnet18, width: 1}
optimizer: {name: sgd, lr: 0.1}
batch_size: 16
epochs: 1
"""
FAST = ["--device", "cpu", "--batch-sizes", "1"]


def save(root: Path, numbers: range) -> None:
    for name in ("toast", "waffles"):
        for number in numbers:
            path = root / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng([number, *map(ord, name)]).integers(0, 255, (8, 8, 3))
            Image.fromarray(noise.astype(np.uint8)).save(path)


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trained on pictures beside its file; the current folder has neither."""
    monkeypatch.delenv("CIFAR_TUNE_CACHE", raising=False)
    monkeypatch.delenv("CIFAR_TUNE_DATA", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    save(tmp_path, range(30))
    (tmp_path / "trial.yaml").write_text(TRIAL)
    output = tmp_path / "trained"
    assert train.main([str(tmp_path / "trial.yaml"), "--output", str(output), "--device", "cpu"]) == 0
    return output


def test_later_commands_know_where_the_data_were_and_notice_that_they_have_changed(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = [str(trial), "--split", "test", *FAST]
    again = [str(trial / "last"), "--device", "cpu", "--output"]
    assert evaluate.main([str(trial), *FAST]) == 0
    save(trial.parent, range(30, 33))
    capsys.readouterr()
    for command, words in ((evaluate, test), (train, [*again, "again"])):
        assert command.main(words) == 2
        assert "60 pictures then, 66 now: 3 added in toast, 3 added in waffles" in capsys.readouterr().err
    assert not (trial / "confirmations.parquet").exists()
    assert evaluate.main([*test, "--changed-data"]) == 0
    assert "none of the" in capsys.readouterr().out
    assert train.main([*again, "again", "--changed-data"]) == 0


def test_a_folder_to_predict_has_the_pictures_that_a_set_would_have(
    trial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = trial.parent / "photos"
    files, _ = picture_files([photos])
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX"):
        shutil.copytree(photos / "toast", photos / "waffles" / name)
    (photos / "toast" / "._0.png").write_bytes(b"x")
    (photos / "toast" / "a.heic").write_bytes(b"x")
    assert picture_files([photos]) == (files, [])
    assert len(files) == 60
    assert "1 .heic" in capsys.readouterr().err
