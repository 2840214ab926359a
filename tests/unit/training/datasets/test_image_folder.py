"""A folder of class folders, already split or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.folder import Folder
from cifar_tune.training.datasets.split import drawn_split

LEVELS = {"cat": 40, "dog": 130, "owl": 220}


@pytest.fixture
def pets(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """A folder with ten images of each of three classes, some deeper, in several formats."""
    for name, level in LEVELS.items():
        for number in range(10):
            deeper = "more/" if number % 2 else ""
            suffix = (".jpg", ".PNG", ".webp")[number % 3]
            save_image(tmp_path / "pets" / name / f"{deeper}{number}{suffix}", level)
        (tmp_path / "pets" / name / "notes.txt").write_text("no image")
        (tmp_path / "pets" / name / "._0.jpg").write_text("what macOS leaves behind")
    (tmp_path / "pets" / ".hidden").mkdir()
    return tmp_path / "pets"


@pytest.fixture
def split_pets(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    for split, count in (("train", 4), ("test", 2)):
        for name, level in LEVELS.items():
            for number in range(count):
                save_image(tmp_path / "split" / split / name / f"{number}.png", level)
    return tmp_path / "split"


def test_classes_are_the_folders_in_alphabetical_order(pets: Path) -> None:
    dataset = Folder(path=str(pets), resolution=8)
    assert dataset.info(pets).class_names == ("cat", "dog", "owl")
    images = dataset.load(pets, "train")
    assert np.allclose(images.pixels.mean((1, 2, 3)), np.array([40, 130, 220])[images.labels], atol=6)


def test_a_relative_path_is_below_the_data_root(pets: Path) -> None:
    root = pets.parent
    splits = [Folder(path="pets").listing(root, split) for split in ("train", "test")]
    assert sum(len(one.labels) for one in splits) == 30


def test_the_test_images_follow_from_test_seed_alone(pets: Path) -> None:
    dataset = Folder(path=str(pets), test_fraction=0.3)
    train, test = (dataset.listing(pets, split) for split in ("train", "test"))
    assert set(test.labels) == set(train.labels) == {0, 1, 2}
    assert not set(train.sources) & set(test.sources)
    assert len(set(train.sources) | set(test.sources)) == 30
    again = Folder(path=str(pets), test_fraction=0.3, split_seed=5).listing(pets, "test")
    other = Folder(path=str(pets), test_fraction=0.3, test_seed=5).listing(pets, "test")
    assert list(again.sources) == list(test.sources)
    assert list(other.sources) != list(test.sources)


def test_a_picture_keeps_its_split_when_others_come_and_it_is_renamed(
    tmp_path: Path, save_image: Callable[..., Path]
) -> None:
    """30 pictures a class, of which 0.7^30, 1 in 44,000, would have no test image by themselves."""
    for name in LEVELS:
        for number in range(30):
            save_image(tmp_path / "set" / name / f"{number}.png", LEVELS[name])
    dataset = Folder(path="set", test_fraction=0.3, validation_fraction=0.3)

    def sides() -> dict[bytes, str]:
        train, test = (dataset.listing(tmp_path, split) for split in ("train", "test"))
        trained, validated = train.split(dataset)
        parts = {"train": [train.sources[place] for place in trained], "test": test.sources}
        parts["validation"] = [train.sources[place] for place in validated]
        return {Path(path).read_bytes(): part for part, paths in parts.items() for path in paths}

    before = sides()
    for number in range(30, 35):
        save_image(tmp_path / "set" / "cat" / f"{number}.png", LEVELS["cat"])
    (tmp_path / "set" / "owl" / "3.png").rename(tmp_path / "set" / "owl" / "aaa.png")
    (tmp_path / "set" / "dog" / "0.png").unlink()
    after = sides()
    assert len(after) == 94
    assert {after[picture] for picture in before if picture in after} == {"train", "validation", "test"}
    assert all(after[picture] == part for picture, part in before.items() if picture in after)


def test_results_of_version_0_1_keep_the_split_that_was_drawn_by_position(pets: Path) -> None:
    """They have every option written out but `draw`, and count what lies in hidden folders."""
    dataset = Folder(path=str(pets), test_fraction=0.3)
    written = dataset.model_dump(mode="json")
    del written["draw"]
    before = Folder.model_validate_json(json.dumps(written))
    assert before.draw == "position"
    assert Folder.model_validate_json(json.dumps(dataset.model_dump(mode="json"))).draw == "content"
    paths = [
        path
        for name in LEVELS
        for path in sorted(map(str, (pets / name).rglob("*")))
        if path.lower().endswith((".jpg", ".png", ".webp")) and "._" not in path
    ]
    labels = np.repeat([0, 1, 2], 10)
    for split in ("train", "test"):
        listed = before.listing(pets, split)
        chosen = drawn_split(labels, 0.3, 0, split)
        assert list(listed.sources) == [paths[place] for place in chosen]
        assert not listed.by_content
    assert before.load(pets, "train").identities is None


def test_folders_train_and_test_are_taken_as_they_are(split_pets: Path, opened_files: list[str]) -> None:
    dataset = Folder(path=str(split_pets), resolution=8)
    dataset.verify(split_pets.parent)
    assert len(dataset.load(split_pets.parent, "train").labels) == 12
    assert not any("/test/" in path for path in opened_files)
    assert len(dataset.load(split_pets.parent, "test").labels) == 6


def test_a_class_only_in_the_test_is_named(split_pets: Path, save_image: Callable[..., Path]) -> None:
    save_image(split_pets / "test" / "yak" / "0.png")
    with pytest.raises(DatasetError, match=r"split/test has a class that .*split/train lacks: yak"):
        Folder(path="split").verify(split_pets.parent)


def test_train_without_test_is_refused_with_ways_out(split_pets: Path) -> None:
    (split_pets / "test").rename(split_pets / "val")
    with pytest.raises(DatasetError, match=r"`train` of class folders but no `test`: add one .* or name"):
        Folder(path="split").verify(split_pets.parent)
    assert Folder(path="split/train", test_fraction=0.25).info(split_pets.parent).train_images < 12


def test_a_class_called_train_is_a_class(pets: Path) -> None:
    (pets / "owl").rename(pets / "train")
    for path in (pets / "train" / "more").iterdir():
        path.rename(pets / "train" / path.name)
    (pets / "train" / "more").rmdir()
    assert Folder(path=str(pets)).info(pets).class_names == ("cat", "dog", "train")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{tmp_path}/nowhere is not there; `path` is a folder of class folders"):
        Folder(path="nowhere").verify(tmp_path)


@pytest.mark.parametrize(("names", "found"), [([], "none"), (["cat"], "one, cat")])
def test_fewer_than_two_class_folders_are_refused(tmp_path: Path, names: list[str], found: str) -> None:
    for name in names:
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set").mkdir(exist_ok=True)
    with pytest.raises(DatasetError, match=f"each of at least two classes, and holds {found}"):
        Folder(path="set").verify(tmp_path)


def test_an_empty_class_folder_is_named_with_the_formats_that_count(pets: Path) -> None:
    (pets / "zebra").mkdir()
    with pytest.raises(DatasetError, match=r"pets/zebra has no picture in it \(\*.jpg, \*.jpeg, \*.png"):
        Folder(path=str(pets)).verify(pets)


def test_too_small_a_share_for_the_test_is_refused(pets: Path) -> None:
    with pytest.raises(DatasetError, match=r"test_fraction 0.05 keeps 2 of 30 images for the test"):
        Folder(path=str(pets), test_fraction=0.05).verify(pets)


def test_mean_and_std_can_be_given(pets: Path) -> None:
    info = Folder(path=str(pets), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).info(pets)
    assert (info.mean, info.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
