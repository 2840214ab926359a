"""Food-101 in its published layout."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.food101 import Food101

LEVELS = {"apple_pie": 60, "sushi": 190}


@pytest.fixture
def root(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """A data root with a Food-101 of two classes, four training images and two test images each."""
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        listed = {name: [f"{name}/{number}" for number in numbers] for name in LEVELS}
        for name, images in listed.items():
            for image in images:
                save_image(tmp_path / "food-101" / "images" / f"{image}.jpg", LEVELS[name], size=(60, 40))
        meta = tmp_path / "food-101" / "meta"
        meta.mkdir(exist_ok=True)
        (meta / f"{split}.json").write_text(json.dumps(listed))
        (meta / f"{split}.txt").write_text("\n".join(image for images in listed.values() for image in images))
    return tmp_path


def caches(root: Path) -> list[Path]:
    return sorted((root / ".cache" / "cifar_tune" / "decoded").glob("*.npy"))


def test_images_are_decoded_with_the_labels_of_their_classes(root: Path) -> None:
    dataset = Food101(resolution=16)
    assert dataset.info(root).class_names == ("apple_pie", "sushi")
    assert dataset.info(root).train_images == 8
    images = dataset.load(root, "train")
    assert images.pixels.shape == (8, 3, 16, 16)
    assert images.labels.tolist() == [0] * 4 + [1] * 4
    assert np.allclose(images.pixels.mean((1, 2, 3)), [60] * 4 + [190] * 4, atol=4)


def test_the_text_lists_serve_where_the_json_ones_are_missing(root: Path) -> None:
    expected = Food101(resolution=16).load(root, "train")
    for path in (root / "food-101" / "meta").glob("*.json"):
        path.unlink()
    found = Food101(resolution=16).load(root, "train")
    assert np.array_equal(found.pixels, expected.pixels)
    assert np.array_equal(found.labels, expected.labels)


def test_the_test_split_is_neither_listed_nor_decoded_until_asked_for(root: Path, opened_files: list[str]) -> None:
    dataset = Food101(resolution=16)
    dataset.info(root)
    dataset.verify(root)
    dataset.build(root)
    dataset.load(root, "train")
    test_images = [f"{name}/{number}.jpg" for name in LEVELS for number in (4, 5)]
    assert not [path for path in opened_files if path.endswith(("test.json", "test.txt", *test_images))]
    assert len(caches(root)) == 1
    assert len(dataset.load(root, "test").labels) == 4
    assert len(caches(root)) == 2


def test_a_changed_image_makes_the_cache_anew(root: Path, save_image: Callable[..., Path]) -> None:
    dataset = Food101(resolution=16)
    dataset.load(root, "train")
    (old,) = caches(root)
    path = save_image(root / "food-101" / "images" / "apple_pie" / "0.jpg", 250)
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    assert dataset.load(root, "train").pixels[0].mean() > 230
    (new,) = caches(root)
    assert new != old


def test_each_resolution_has_a_cache_of_its_own(root: Path) -> None:
    for resolution in (16, 24, 16):
        assert Food101(resolution=resolution).load(root, "train").pixels.shape[2:] == (resolution, resolution)
    assert len(caches(root)) == 2


def test_a_missing_set_names_the_folder_and_the_command(tmp_path: Path) -> None:
    command = rf"`python -m cifar_tune.datasets prepare food101 --data {tmp_path}` downloads it"
    with pytest.raises(DatasetError, match=rf"{tmp_path}/food-101 is not there. {command}"):
        Food101().verify(tmp_path)


def test_a_missing_list_is_named_and_that_of_the_test_too(root: Path) -> None:
    for suffix in ("json", "txt"):
        (root / "food-101" / "meta" / f"test.{suffix}").unlink()
    with pytest.raises(DatasetError, match=r"food-101 lacks meta/test.json"):
        Food101().verify(root)


def test_missing_images_are_counted_and_the_first_named(root: Path) -> None:
    for number in (1, 2):
        (root / "food-101" / "images" / "sushi" / f"{number}.jpg").unlink()
    with pytest.raises(DatasetError, match=r"images/sushi/1.jpg is not there, nor are 1 more"):
        Food101().verify(root)


def test_an_unreadable_image_is_named(root: Path) -> None:
    (root / "food-101" / "images" / "sushi" / "1.jpg").write_bytes(b"broken")
    with pytest.raises(DatasetError, match=r"images/sushi/1.jpg cannot be read as an image"):
        Food101(resolution=16).load(root, "train")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sushi": ["no slash"]}', '{"sushi": 3}', "{}"])
def test_a_list_that_is_none_is_named(root: Path, content: str) -> None:
    path = root / "food-101" / "meta" / "train.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=rf"{path} (cannot be read: .*; it should list images as|lists no image)"):
        Food101().verify(root)


def test_a_class_with_one_image_is_named(root: Path) -> None:
    path = root / "food-101" / "meta" / "train.json"
    path.write_text(json.dumps({"sushi": ["sushi/0", "sushi/1"], "apple_pie": ["apple_pie/0"]}))
    with pytest.raises(DatasetError, match=r"class apple_pie of .* has 1 training images; at least 2 are needed"):
        Food101().verify(root)


def test_a_set_that_is_there_but_not_whole_is_not_overwritten(root: Path) -> None:
    with pytest.raises(DatasetError, match="food-101 is there, but not whole; move it away to download"):
        Food101().download(root)


@pytest.mark.realdata
class TestPublishedImages:
    def test_all_training_images_at_64_px_decode_in_well_under_a_minute(
        self, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CIFAR_TUNE_CACHE", str(tmp_path))
        dataset = Food101(resolution=64)
        start = time.perf_counter()
        images = dataset.load(real_data, "train")
        # Measured: 4 s on two cores for 15,150 images that are 64 px already.
        assert time.perf_counter() - start < 40
        assert np.bincount(images.labels).tolist() == [150] * 101
        pixels = images.pixels / np.float32(255)
        assert dataset.mean == pytest.approx(pixels.mean((0, 2, 3), dtype=np.float64), abs=6e-4)
        assert dataset.std == pytest.approx(pixels.std((0, 2, 3), dtype=np.float64), abs=6e-4)

    def test_originals_decode_to_the_small_set_made_from_them(
        self, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same images, resized and cropped by someone else: alike but for JPEG's loss and another filter."""
        originals = real_data / "food-101-originals"
        if not originals.is_dir():
            pytest.skip("no food-101-originals there")
        monkeypatch.setenv("CIFAR_TUNE_CACHE", str(tmp_path))
        listed = Food101(resolution=64).listing(originals, "train")
        compared = 0
        for index, pixels in enumerate(Food101(resolution=64).load(originals, "train").pixels):
            class_name, file = str(listed.sources[index]).split("/")[-2:]
            small = real_data / "food-101" / "images" / class_name / file
            if small.exists():
                expected = np.asarray(Image.open(small).convert("RGB")).transpose(2, 0, 1)
                assert np.corrcoef(pixels.ravel(), expected.ravel())[0, 1] > 0.97
                compared += 1
        assert compared
