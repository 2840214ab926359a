"""scikit-learn's digits."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.digits import Digits

NOWHERE = Path("nowhere")


def test_the_last_360_images_are_the_test_split() -> None:
    train, test = (Digits().load(NOWHERE, split) for split in ("train", "test"))
    assert np.array_equal(np.concatenate([train.labels, test.labels]), load_digits().target)
    assert np.array_equal(np.concatenate([train.pixels, test.pixels])[:, 0] > 127, load_digits().images > 7.9)
    assert len(test.labels) == 360
    assert len(train.labels) == Digits().info(NOWHERE).train_images


def test_grey_values_of_0_to_16_become_0_to_255() -> None:
    pixels = Digits().load(NOWHERE, "train").pixels
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.abs(pixels[:, 0] * (16 / 255) - load_digits().images[:1437]).max() < 16 / 255


def test_mean_and_std_are_those_of_the_training_images() -> None:
    pixels = Digits().load(NOWHERE, "train").pixels / 255
    info = Digits().info(NOWHERE)
    assert info.mean == pytest.approx([pixels.mean()], abs=6e-5)
    assert info.std == pytest.approx([pixels.std()], abs=6e-5)


@pytest.mark.slow
def test_loading_leaves_scikit_learn_and_torch_alone() -> None:
    code = (
        "import sys; from pathlib import Path; from cifar_tune.training.datasets.digits import Digits\n"
        "Digits().load(Path('.'), 'train'); print([name for name in ('sklearn', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (None, "digits come inside scikit-learn, which is not installed: pip install scikit-learn"),
        ("elsewhere/sklearn/__init__.py", r"elsewhere/sklearn/datasets/data/digits.csv.gz is not there"),
    ],
)
def test_without_scikit_learns_file_the_message_says_what_to_install(
    package: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = package and ModuleSpec("sklearn", None, origin=package)
    monkeypatch.setattr("cifar_tune.training.datasets.digits.find_spec", lambda _: spec)
    with pytest.raises(DatasetError, match=message):
        Digits().verify(NOWHERE)
