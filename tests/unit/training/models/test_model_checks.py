"""What a model refuses, and in which words."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.stem import Stem
from cifar_tune.training.models.tgn import Tgn
from cifar_tune.training.taxonomy import superclasses

ANIMALS = DatasetInfo(
    class_names=("ant", "bear", "cat", "dog"),
    channels=3,
    resolution=16,
    mean=(0.5,) * 3,
    std=(0.25,) * 3,
    train_images=100,
    coarse_names=("insect", "mammal"),
    coarse_of_fine=(0, 1, 1, 1),
)


def test_a_stem_that_shrinks_the_image_too_far_is_refused() -> None:
    model = ResNet18(stem=Stem(kernel=7, stride=2, padding=3, maxpool=True))
    message = (
        "model resnet18 with these options takes images of at least 17 x 17 pixels; the data set's resolution is 16"
    )
    with pytest.raises(DatasetError, match=message):
        model.check(ANIMALS)
    model.check(replace(ANIMALS, resolution=17))


def test_superclasses_list_their_classes_in_label_order() -> None:
    assert superclasses(ANIMALS, "a test") == ((0,), (1, 2, 3))
    assert superclasses(replace(ANIMALS, coarse_names=None), "a test") == ((0,), (1, 2, 3))


def test_tgn_on_a_data_set_without_superclasses_says_which_has_them() -> None:
    message = (
        r"model tgn needs a data set with superclasses \(coarse labels\), such as cifar100; "
        r"this one has 4 classes \(ant, bear, cat, ...\) and no superclasses"
    )
    with pytest.raises(DatasetError, match=message):
        Tgn().check(replace(ANIMALS, coarse_names=None, coarse_of_fine=None))


def test_a_superclass_without_classes_is_named() -> None:
    hollow = replace(ANIMALS, coarse_names=("insect", "bird", "mammal"), coarse_of_fine=(0, 2, 2, 2))
    with pytest.raises(DatasetError, match="at least one class in every superclass; none in bird"):
        Tgn().check(hollow)


@pytest.mark.slow
def test_checks_need_no_torch() -> None:
    code = (
        "import sys; from cifar_tune.training.models.tgn import Tgn; "
        "from cifar_tune.training.datasets.dataset import DatasetInfo; "
        "Tgn().check(DatasetInfo(('a', 'b'), 3, 32, (0.5,), (0.5,), 9, coarse_of_fine=(0, 1))); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
