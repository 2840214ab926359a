"""A trial that has learnt to read digits, once for all tests of the room."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.training.epochs import trial_epochs
from cifar_tune.training.trial import TrialConfig

TRIAL = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "batch_size": 64,
    "epochs": 2,
}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoints, which no test changes."""
    folder = tmp_path_factory.mktemp("trial")
    for _ in trial_epochs(TrialConfig.model_validate(TRIAL), root=folder, device="cpu", checkpoints=folder / "t"):
        pass
    return folder / "t"


@pytest.fixture
def odd_pictures(tmp_path: Path) -> dict[Path, str]:
    """Paths that are no still picture of 8 bits a channel, and what is said of each."""
    folder = tmp_path / "odd"
    (folder / "empty").mkdir(parents=True)
    still, other = Image.new("L", (9, 9)), Image.new("L", (9, 9), 200)
    still.save(folder / "moving.gif", save_all=True, append_images=[other])
    still.save(folder / "moving.png", save_all=True, append_images=[other])
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(folder / "deep.png")
    (folder / "text.jpg").write_text("no picture")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)).save(whole, "PNG")
    (folder / "cut.png").write_bytes(whole.getvalue()[:600])
    (folder / "none.png").write_bytes(b"")
    Image.new("1", (30_000, 3_000)).save(folder / "huge.png")
    return {
        folder / "lost.png": "is not there; name a picture, or a folder of them",
        folder / "empty": "has no picture in it (*.jpg",
        folder / "moving.gif": "is animated (2 frames); save the one that is meant as a picture of its own",
        folder / "moving.png": "is animated (2 frames)",
        folder / "deep.png": "has more than 8 bits a channel (I;16); convert it to 8 bits",
        folder / "text.jpg": "cannot be read as an image",
        folder / "cut.png": "cannot be read as an image",
        folder / "none.png": "cannot be read as an image",
        folder / "huge.png": "has 30000 x 3000 pixels; at most 89,478,485 are decoded: make it smaller",
    }
