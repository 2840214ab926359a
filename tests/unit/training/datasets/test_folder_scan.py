"""What counts as a picture of a folder, what is left out, and what is said of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.folder import Folder
from cifar_tune.training.datasets.photographs import build_all
from cifar_tune.training.datasets.split import training_sizes

LEVELS = {"cat": 40, "dog": 200}


@pytest.fixture
def pets(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """16 pictures in two classes, drawn into train and test."""
    for name, level in LEVELS.items():
        for number in range(8):
            save_image(tmp_path / "pets" / name / f"{number}.png", level)
    return tmp_path / "pets"


@pytest.fixture
def split_pets(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    for split, count in (("train", 6), ("val", 3), ("test", 2)):
        for name, level in LEVELS.items():
            for number in range(count):
                save_image(tmp_path / "pets" / split / name / f"{split}-{number}.png", level)
    return tmp_path / "pets"


def all_sources(folder: Path) -> set[str]:
    dataset = Folder(path=str(folder), resolution=8)
    return {path for split in ("train", "test") for path in dataset.listing(folder.parent, split).sources}


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".thumbnails", "@eaDir", "__MACOSX", "#recycle"])
@pytest.mark.parametrize("depth", ["", "cat", "cat/more"])
def test_hidden_and_service_folders_are_left_out_at_every_depth(pets: Path, name: str, depth: str) -> None:
    before = all_sources(pets)
    shutil.copytree(pets / "dog", pets / depth / name / "inside")
    assert all_sources(pets) == before
    assert Folder(path=str(pets)).info(pets).class_names == ("cat", "dog")
    (told,) = Folder(path=str(pets)).remarks(pets)
    assert f"1 {name}" in told


def test_hidden_files_are_left_out(pets: Path) -> None:
    before = all_sources(pets)
    shutil.copy(pets / "dog" / "0.png", pets / "cat" / "._x.png")
    assert all_sources(pets) == before


def test_pictures_in_formats_that_are_not_taken_are_counted_by_suffix(pets: Path) -> None:
    for name in ("a.heic", "b.HEIC", "c.gif", "d.txt", "e"):
        (pets / "cat" / name).write_bytes(b"x")
    (told,) = Folder(path=str(pets)).remarks(pets)
    assert "3 files were left out: 2 .heic, 1 .gif." in told


def test_a_class_of_other_formats_alone_is_refused_with_their_number(pets: Path) -> None:
    (pets / "owl").mkdir()
    (pets / "owl" / "a.heic").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"pets/owl has no picture in it .*1 \.heic"):
        Folder(path=str(pets)).info(pets)


def test_pictures_beside_the_class_folders_are_counted(pets: Path) -> None:
    shutil.copy(pets / "dog" / "0.png", pets / "0.png")
    (told,) = Folder(path=str(pets)).remarks(pets)
    assert "1 pictures lie beside the class folders" in told


@pytest.mark.parametrize(
    ("link", "target"), [("cat/back", "."), ("cat/up", ".."), ("cat/other", "dog"), ("cat/self", "cat")]
)
def test_a_link_by_which_pictures_would_count_twice_is_refused_by_name(pets: Path, link: str, target: str) -> None:
    (pets / link).symlink_to((pets / target).resolve())
    with pytest.raises(DatasetError, match=rf"pets/{link} is a link to .*Remove the link"):
        Folder(path=str(pets)).info(pets)


def test_a_link_between_splits_is_refused_by_name(split_pets: Path) -> None:
    (split_pets / "test" / "cat" / "more").symlink_to(split_pets / "train" / "cat")
    with pytest.raises(DatasetError, match=r"test/cat/more is a link to .*/train/cat"):
        Folder(path="pets").info(split_pets.parent)


def test_a_link_to_a_folder_elsewhere_is_followed(pets: Path, save_image: Callable[..., Path]) -> None:
    save_image(pets.parent / "elsewhere" / "far.png")
    before = all_sources(pets)
    (pets / "cat" / "more").symlink_to(pets.parent / "elsewhere")
    assert all_sources(pets) - before == {str(pets / "cat" / "more" / "far.png")}


def _undecodable(folder: Path, name: bytes) -> bytes:
    path = os.path.join(os.fsencode(folder), name)
    try:
        with open(path, "wb"):
            pass
        os.unlink(path)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    return path


def test_a_file_whose_name_is_not_utf8_is_a_picture_like_others(pets: Path) -> None:
    path = _undecodable(pets / "cat", b"caf\xe9.png")
    os.rename(os.fsencode(pets / "cat" / "0.png"), path)
    assert len(all_sources(pets)) == 16
    build_all([Folder(path=str(pets), resolution=8)], pets)
    with open(path, "wb") as file:
        file.write(b"rotten")
    with pytest.raises(DatasetError, match=r"caf\\xe9\.png cannot be read as an image") as error:
        build_all([Folder(path=str(pets), resolution=8)], pets)
    str(error.value).encode()


def test_a_class_folder_whose_name_is_not_utf8_is_refused_by_name(pets: Path) -> None:
    path = _undecodable(pets, b"caf\xe9")
    os.rename(os.fsencode(pets / "cat"), path)
    with pytest.raises(DatasetError, match=r"caf\\xe9 is not UTF-8; rename it"):
        Folder(path=str(pets)).info(pets)


def test_broken_pictures_of_both_splits_are_named_in_one_message(pets: Path) -> None:
    dataset = Folder(path=str(pets), resolution=8)
    (train, *_), (test, *_) = (dataset.listing(pets, split).sources for split in ("train", "test"))
    broken = {train, test, str(pets / "dog" / "7.png")}
    for path in broken:
        Path(path).write_bytes(b"rotten " + path.encode())
    with pytest.raises(DatasetError) as error:
        build_all([dataset], pets)
    lines = str(error.value).splitlines()
    assert sorted(line.split(" cannot be read")[0] for line in lines) == sorted(broken)


def test_a_folder_val_is_the_validation_split(split_pets: Path) -> None:
    dataset = Folder(path="pets", resolution=8)
    root = split_pets.parent
    assert dataset.info(root).split_images == (12, 6)
    assert training_sizes(dataset.info(root), Folder(path="pets", validation_fraction=0.01)) == (12, 6)
    listed = dataset.listing(root, "train")
    train, validation = listed.split(dataset)
    assert {Path(listed.sources[place]).parts[-3] for place in train} == {"train"}
    assert {Path(listed.sources[place]).parts[-3] for place in validation} == {"val"}
    images = dataset.load(root, "train")
    assert images.validation is not None
    assert np.flatnonzero(images.validation).tolist() == validation.tolist()


def test_two_validation_folders_are_refused(split_pets: Path) -> None:
    shutil.copytree(split_pets / "val", split_pets / "validation")
    with pytest.raises(DatasetError, match="has both val and validation; keep one"):
        Folder(path="pets").info(split_pets.parent)


def test_folders_beside_train_and_test_that_are_not_used_are_named(
    split_pets: Path, save_image: Callable[..., Path]
) -> None:
    save_image(split_pets / "extra" / "cat" / "0.png")
    (told,) = Folder(path="pets").remarks(split_pets.parent)
    assert "not used: extra" in told


@pytest.mark.parametrize(
    ("source", "copy", "what"),
    [
        ("train/cat/train-0.png", "test/cat/copy.png", "more than one split"),
        ("train/cat/train-0.png", "val/cat/copy.png", "more than one split"),
        ("train/cat/train-0.png", "train/dog/copy.png", "more than one class"),
        ("train/cat/train-0.png", "train/cat/copy.png", "more than once in a class"),
    ],
)
def test_pictures_that_are_byte_for_byte_the_same_are_named(
    split_pets: Path, source: str, copy: str, what: str
) -> None:
    dataset = Folder(path="pets")
    assert dataset.remarks(split_pets.parent) == []
    shutil.copy(split_pets / source, split_pets / copy)
    (told,) = dataset.remarks(split_pets.parent)
    assert f"1 pictures are {'there ' if 'once' in what else 'in '}{what.removeprefix('in ')}" in told
    assert str(split_pets / source) in told
    assert str(split_pets / copy) in told
