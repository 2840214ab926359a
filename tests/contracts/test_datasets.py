"""What every data set of the union keeps; a new member needs a small specimen here and nothing else."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets import AnyDataset, Dataset, Split
from cifar_tune.training.datasets.checksums import Published
from cifar_tune.training.datasets.split import split_positions

MEMBERS = {member.model_fields["name"].default: member for member in get_args(get_args(AnyDataset)[0])}

Specimen = Callable[[Path, pytest.MonkeyPatch], dict[str, object]]


def save_noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def digits(_: Path, __: pytest.MonkeyPatch) -> dict[str, object]:
    return {"resolution": 16}


def cifar(name: str, label_keys: tuple[bytes, ...], files: dict[Split, dict[str, int]]) -> Specimen:
    """Returns a maker of the published format with so many images a file; the sums are those of what it wrote."""

    def make(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
        member = MEMBERS[name]
        classes = {b"labels": 10, b"fine_labels": 100, b"coarse_labels": 20}
        table: dict[Split, dict[str, Published]] = {"train": {}, "test": {}}
        for split, counts in files.items():
            for file, count in counts.items():
                content: dict[bytes, object] = {
                    key: [index % classes[key] for index in range(count)] for key in label_keys
                }
                content[b"data"] = np.random.default_rng(count).integers(0, 256, (count, 3072), dtype=np.uint8)
                written = pickle.dumps(content, protocol=3).replace(b"numpy._core.multi", b"numpy.core.multi")
                path = root / str(member.folder) / file
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(written)
                table[split][file] = Published(len(written), hashlib.md5(written).hexdigest())
        monkeypatch.setattr(member, "files", table)
        monkeypatch.setattr("cifar_tune.training.datasets.cifar.TRAIN_IMAGES", sum(files["train"].values()))
        return {"resolution": 24, "validation_fraction": 0.5}

    return make


def food101(root: Path, _: pytest.MonkeyPatch) -> dict[str, object]:
    for split, numbers in (("train", range(6)), ("test", range(6, 9))):
        listed = {name: [f"{name}/{number}" for number in numbers] for name in ("pho", "sushi")}
        for seed, image in enumerate(chain.from_iterable(listed.values())):
            save_noise(root / "food-101" / "images" / f"{image}.jpg", seed)
        (root / "food-101" / "meta").mkdir(exist_ok=True)
        (root / "food-101" / "meta" / f"{split}.json").write_text(json.dumps(listed))
    return {"resolution": 16, "validation_fraction": 0.5}


def folder(root: Path, _: pytest.MonkeyPatch) -> dict[str, object]:
    for split, count in (("train", 6), ("test", 3)):
        for name in ("cat", "dog"):
            for number in range(count):
                save_noise(root / "pets" / split / name / f"{number}.png", number)
    return {"path": "pets", "resolution": 16, "validation_fraction": 0.5}


def huggingface(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(root / "hub"))
    pytest.importorskip("datasets", reason="needs the optional package `datasets`")
    return folder(root, monkeypatch)


SPECIMENS: dict[str, Specimen] = {
    "digits": digits,
    "cifar10": cifar(
        "cifar10", (b"labels",), {"train": {"data_batch_1": 30, "data_batch_2": 20}, "test": {"test_batch": 10}}
    ),
    "cifar100": cifar("cifar100", (b"fine_labels", b"coarse_labels"), {"train": {"train": 200}, "test": {"test": 100}}),
    "food101": food101,
    "folder": folder,
    "huggingface": huggingface,
}

# What the paths of test images look like; digits has all images in one file of scikit-learn's.
TEST_FILES = {
    "cifar10": r"/test_batch$",
    "cifar100": r"/test$",
    "food101": r"/test\.json$|/[678]\.jpg$",
    "folder": r"/test/",
    "huggingface": r"/test/",
}

_listening: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _listening:
        _listening[-1].append(str(arguments[0]))


@pytest.fixture(scope="session")
def _hook() -> None:
    """Python tells audit hooks of every file it opens, for whatever library; they stay for the process's life."""
    sys.addaudithook(_note)


@pytest.fixture
def opened_files(_hook: None) -> Iterator[list[str]]:
    _listening.append([])
    yield _listening[-1]
    _listening.pop()


@pytest.fixture(params=sorted(MEMBERS))
def dataset(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A small specimen of each member, its files below `tmp_path`."""
    monkeypatch.delenv("CIFAR_TUNE_CACHE", raising=False)
    options = SPECIMENS[request.param](tmp_path, monkeypatch)
    made: Dataset = TypeAdapter(AnyDataset).validate_python({"name": request.param, **options})
    return made


def test_every_member_has_a_specimen() -> None:
    assert set(SPECIMENS) == set(MEMBERS)


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_uint8_squares_with_labels_of_known_classes(dataset: Dataset, tmp_path: Path, split: Split) -> None:
    info, images = dataset.info(tmp_path), dataset.load(tmp_path, split)
    assert images.pixels.shape == (len(images.labels), info.channels, dataset.resolution, dataset.resolution)
    assert images.pixels.dtype == np.uint8
    assert images.labels.dtype == np.int64
    assert set(images.labels) == set(range(info.classes))
    assert images.pixels.max() > 128


def test_what_is_known_beforehand_is_what_is_loaded(dataset: Dataset, tmp_path: Path) -> None:
    info = dataset.info(tmp_path)
    assert info.train_images == len(dataset.load(tmp_path, "train").labels)
    assert info.resolution == dataset.resolution
    assert len(info.mean) == len(info.std) == info.channels
    assert all(0 < mean < 1 for mean in info.mean)
    assert all(0 < std < 1 for std in info.std)
    assert len(set(info.class_names)) == info.classes > 1
    if info.coarse_of_fine is not None:
        assert info.coarse_names is not None
        assert set(info.coarse_of_fine) == set(range(len(info.coarse_names)))
        assert len(info.coarse_of_fine) == info.classes


def test_loading_again_gives_the_same_images(dataset: Dataset, tmp_path: Path) -> None:
    first, again = dataset.load(tmp_path, "train"), dataset.load(tmp_path, "train")
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.labels, again.labels)


def test_torch_takes_the_pixels_without_a_copy_or_a_warning(dataset: Dataset, tmp_path: Path) -> None:
    import torch

    pixels = dataset.load(tmp_path, "train").pixels
    assert torch.from_numpy(pixels).data_ptr() == pixels.__array_interface__["data"][0]


def test_every_image_of_the_training_data_trains_or_validates(dataset: Dataset, tmp_path: Path) -> None:
    labels = dataset.load(tmp_path, "train").labels
    train, validation = split_positions(labels, dataset)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert set(labels[train]) == set(labels[validation])


def test_training_opens_no_file_of_the_test_split(dataset: Dataset, tmp_path: Path, opened_files: list[str]) -> None:
    if dataset.name not in TEST_FILES:
        pytest.skip("all its images are in one file")
    dataset.info(tmp_path)
    dataset.verify(tmp_path)
    dataset.build(tmp_path)
    images = dataset.load(tmp_path, "train")
    split_positions(images.labels, dataset)
    images.pixels.max()
    sealed = re.compile(TEST_FILES[dataset.name])
    below_root = [path.removeprefix(str(tmp_path)) for path in opened_files if path.startswith(str(tmp_path))]
    assert below_root
    assert [path for path in below_root if sealed.search(path)] == []
    dataset.load(tmp_path, "test")
    assert any(sealed.search(path.removeprefix(str(tmp_path))) for path in opened_files)


def test_what_is_not_there_is_an_error_that_names_the_place(dataset: Dataset, tmp_path: Path) -> None:
    if dataset.name == "digits":
        pytest.skip("comes inside scikit-learn")
    with pytest.raises(DatasetError, match=r"elsewhere"):
        dataset.verify(tmp_path / "elsewhere")


def test_a_data_set_survives_a_round_trip_through_json(dataset: Dataset) -> None:
    adapter = TypeAdapter(AnyDataset)
    again = adapter.validate_python(json.loads(adapter.dump_json(dataset)))
    assert again == dataset


@pytest.mark.parametrize("option", ["resolution", "validation_fraction", "train_size", "split_seed"])
@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_every_member_takes_the_common_options(name: str, option: str) -> None:
    assert option in MEMBERS[name].model_fields
