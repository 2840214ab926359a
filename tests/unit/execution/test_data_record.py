"""What results remember of their data, and what is said when those have changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.errors import DatasetError
from cifar_tune.execution.data_record import (
    check_same_data,
    check_unseen,
    record_data,
    recorded_fingerprint,
    recorded_root,
)
from cifar_tune.training.datasets.data_root import data_root, root_for
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.datasets.folder import Folder

PHOTOS = Folder(path="photos", resolution=8)


def save(root: Path, name: str, numbers: range) -> None:
    for number in numbers:
        path = root / "photos" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([number, *map(ord, name)]).integers(0, 255, (8, 8, 3))
        Image.fromarray(noise.astype(np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root, with 60 pictures in two classes, of which `results` beside it remembers everything."""
    monkeypatch.delenv("CIFAR_TUNE_CACHE", raising=False)
    monkeypatch.delenv("CIFAR_TUNE_DATA", raising=False)
    for name in ("toast", "waffles"):
        save(tmp_path / "data", name, range(30))
    (tmp_path / "results").mkdir()
    record_data(tmp_path / "results", [PHOTOS], tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def results(root: Path) -> Path:
    return root.parent / "results"


def test_the_place_of_the_data_is_remembered_as_long_as_it_is_there(
    root: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_TUNE_DATA", "/elsewhere")
    assert data_root(None, recorded_root(results)) == root
    assert data_root(Path("/chosen"), recorded_root(results)) == Path("/chosen")
    shutil.rmtree(root)
    assert data_root(None, recorded_root(results)) == Path("/elsewhere")


def test_the_same_data_are_accepted_also_when_a_file_is_renamed(root: Path, results: Path) -> None:
    (root / "photos" / "toast" / "3.png").rename(root / "photos" / "toast" / "aaa.png")
    check_same_data(results, [PHOTOS], root, "hint")
    assert check_unseen(results, PHOTOS, root, "test", changed=False) == []


def test_other_options_of_the_trial_leave_the_data_what_they_are(root: Path, results: Path) -> None:
    other = PHOTOS.model_copy(update={"resolution": 16, "validation_fraction": 0.0, "train_size": 20})
    assert recorded_fingerprint(results, other) is not None
    check_same_data(results, [other], root, "hint")


def test_added_pictures_are_counted_by_class_and_were_not_trained_on(root: Path, results: Path) -> None:
    save(root, "waffles", range(30, 35))
    with pytest.raises(DatasetError, match=r"60 pictures then, 65 now: 5 added in waffles") as error:
        check_same_data(results, [PHOTOS], root, "begin a new one")
    assert "begin a new one" in str(error.value)
    with pytest.raises(DatasetError, match=r"5 added in waffles.*\n.*none of the \d+ test images\. --changed-data"):
        check_unseen(results, PHOTOS, root, "test", changed=False)
    told = check_unseen(results, PHOTOS, root, "test", changed=True)
    assert "none of the" in told[1]


def test_a_picture_removed_is_counted(root: Path, results: Path) -> None:
    (root / "photos" / "toast" / "0.png").unlink()
    with pytest.raises(DatasetError, match=r"60 pictures then, 59 now: 1 removed from toast"):
        check_same_data(results, [PHOTOS], root, "hint")


def test_two_class_folders_that_were_swapped_are_noticed(root: Path, results: Path) -> None:
    toast, waffles, between = (root / "photos" / name for name in ("toast", "waffles", "between"))
    toast.rename(between)
    waffles.rename(toast)
    between.rename(waffles)
    with pytest.raises(DatasetError, match=r"30 moved from waffles to toast, 30 moved from toast to waffles"):
        check_same_data(results, [PHOTOS], root, "hint")


def test_test_images_that_were_trained_on_are_counted_and_never_scored(root: Path, results: Path) -> None:
    """The set is split by hand after it was trained on: three of its training pictures are for the test now."""
    dataset = Folder(path="split", resolution=8)
    for name in ("toast", "waffles"):
        shutil.copytree(root / "photos" / name, root / "split" / "train" / name)
        (root / "split" / "test" / name).mkdir(parents=True)
        (root / "split" / "train" / name / "0.png").rename(root / "split" / "test" / name / "0.png")
    record_data(results, [dataset], root)
    for number in (1, 2, 3):
        (root / "split" / "train" / "toast" / f"{number}.png").rename(
            root / "split" / "test" / "toast" / f"{number}.png"
        )
    for changed in (False, True):
        with pytest.raises(DatasetError, match=r"trained or validated on 3 of the 5 test images"):
            check_unseen(results, dataset, root, "test", changed=changed)


def test_the_split_by_position_makes_test_images_of_training_images_and_they_are_counted(
    root: Path, results: Path
) -> None:
    """As in results of version 0.1, recorded when they are resumed: the count is that of an own comparison of files."""
    dataset = PHOTOS.model_copy(update={"draw": "position"})
    record_data(results, [dataset], root)
    trained = {Path(path).read_bytes() for path in dataset.listing(root, "train").sources}
    save(root, "toast", range(30, 35))
    tested = {Path(path).read_bytes() for path in dataset.listing(root, "test").sources}
    assert trained & tested
    with pytest.raises(DatasetError, match=rf"on {len(trained & tested)} of the {len(tested)} test images"):
        check_unseen(results, dataset, root, "test", changed=True)


def test_copies_of_training_images_among_the_test_images_are_said(root: Path, results: Path) -> None:
    dataset = Folder(path="split", resolution=8)
    for split in ("train", "test"):
        shutil.copytree(root / "photos", root / "split" / split)
    record_data(results, [dataset], root)
    (told,) = check_unseen(results, dataset, root, "test", changed=False)
    assert "of the 60 test images are byte for byte among the training images" in told


def test_results_without_a_record_stay_usable(root: Path, tmp_path: Path) -> None:
    assert recorded_root(tmp_path) is None
    check_same_data(tmp_path, [PHOTOS], root, "hint")
    assert check_unseen(tmp_path, PHOTOS, root, "test", changed=False) == []


def test_what_is_recorded_stays_when_the_place_is_written_again(root: Path, results: Path) -> None:
    before = json.loads((results / "data.json").read_text())["datasets"]
    save(root, "waffles", range(30, 35))
    record_data(results, [PHOTOS, Digits()], root)
    after = json.loads((results / "data.json").read_text())["datasets"]
    assert after[0] == before[0]
    assert after[1]["images"] == Digits().info(root).train_images


def test_pictures_beside_the_yaml_file_are_found_before_those_of_the_data_root(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "photos", tmp_path / "project" / "photos")
    file = tmp_path / "project" / "sweep.yaml"
    assert root_for([PHOTOS], file, root) == tmp_path / "project"
    assert root_for([PHOTOS, Digits()], file, root) == root
    assert root_for([PHOTOS], tmp_path / "sweep.yaml", root) == root


def test_a_folder_that_is_in_neither_place_is_refused_with_both(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"neither {tmp_path}/project/pets nor {root}/pets is a folder"):
        root_for([Folder(path="pets")], tmp_path / "project" / "sweep.yaml", root)
