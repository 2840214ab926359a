"""docs/tour.md: its commands run, in a small version, and its pictures come of them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from cifar_tune.results import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
SMALLER = {
    "quickstart.yaml": "quickstart.yaml --set trial.epochs=1 --set trial.dataset.train_size=400 "
    "--set scheduler.grace_epochs=1 --set trials_per_study=3",
    "trials_per_study=14": "trials_per_study=4",
    "--top 3 --seeds 3": "--top 1 --seeds 2",
}
"""Words of commands, and what the small version has in their place."""


@pytest.fixture(scope="module")
def tour() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tour", ROOT / "docs" / "tour.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def smaller(text: str) -> str:
    for words, fewer in SMALLER.items():
        assert words in text
        text = re.sub(rf"^(python .*){re.escape(words)}", lambda found, put=fewer: found[1] + put, text, flags=re.M)
    return text


def test_every_picture_of_the_tour_says_what_makes_it(tour: ModuleType) -> None:
    assert len(tour.PICTURE.findall(TEXT)) == TEXT.count("](images/")
    shown = {place for place, _ in tour.PICTURE.findall(TEXT)}
    assert shown == {f"images/{file.name}" for file in (ROOT / "docs" / "images").glob("tour-*")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_command_of_the_tour_runs_in_a_small_version(tour: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    try:
        tour.walk(smaller(TEXT), folder)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{' '.join(error.cmd[1:])}: exit status {error.returncode}")
    frames = load(folder / "results" / "quickstart")
    assert len(frames.trials) == 8
    assert frames.confirmations["test_accuracy"].notna().sum() == 2
    for file in tour.pictures(TEXT, folder).values():
        with Image.open(file) as picture:
            assert min(picture.size) > 100
