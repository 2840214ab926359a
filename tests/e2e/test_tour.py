"""docs/tour.md: its commands run, in a small version, and its pictures come of them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Mapping
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
SMALLER_ON_REAL_IMAGES = {
    "cifar10_cpu.yaml": "cifar10_cpu.yaml --set trial.epochs=1 --set trial.dataset.train_size=400 "
    "--set trial.model.width=4 --set trials_per_study=1",
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


def smaller(text: str, instead: Mapping[str, str]) -> str:
    for words, fewer in instead.items():
        assert words in text
        text = re.sub(rf"^(python .*){re.escape(words)}", lambda found, put=fewer: found[1] + put, text, flags=re.M)
    return text


def walk(tour: ModuleType, text: str, folder: Path) -> None:
    try:
        tour.walk(text, folder)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{' '.join(error.cmd[1:])}: exit status {error.returncode}")


def test_every_picture_of_the_tour_says_what_makes_it(tour: ModuleType) -> None:
    assert len(tour.PICTURE.findall(TEXT)) == TEXT.count("](images/")
    shown = {place for place, _ in tour.PICTURE.findall(TEXT)}
    assert shown == {f"images/{file.name}" for file in (ROOT / "docs" / "images").glob("tour-*")}


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_every_command_of_the_tour_runs_in_a_small_version(tour: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    walk(tour, smaller(TEXT.split(tour.REAL_IMAGES)[0], SMALLER), folder)
    frames = load(folder / "results" / "quickstart")
    assert len(frames.trials) == 8
    assert frames.confirmations["test_accuracy"].notna().sum() == 2
    for file in tour.pictures(TEXT, folder).values():
        with Image.open(file) as picture:
            assert min(picture.size) > 100


@pytest.mark.nightly
@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
@pytest.mark.timeout(900)
def test_the_commands_on_real_images_run_in_a_small_version(tour: ModuleType, tmp_path: Path) -> None:
    walk(tour, smaller(TEXT.split(tour.REAL_IMAGES)[1], SMALLER_ON_REAL_IMAGES), tmp_path / "walk")
    assert len(load(tmp_path / "walk" / "results" / "cifar10_cpu").trials) == 2
