"""Hugging Face sets: what is said without the package, and local sets with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.huggingface import HuggingFace

# The library warns about its own and its dependencies' future.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return pytest.importorskip("datasets", reason="needs the optional package `datasets`")


@pytest.fixture
def pictures(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    for split, count in (("train", 5), ("test", 2)):
        for name, level in (("cat", 60), ("dog", 190)):
            for number in range(count):
                save_image(tmp_path / "pictures" / split / name / f"{number}.png", level)
    return tmp_path / "pictures"


def test_without_the_package_the_message_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['datasets'] = None\n"
        "from pathlib import Path; from cifar_tune.errors import DatasetError\n"
        "from cifar_tune.training.datasets.huggingface import HuggingFace\n"
        "try: HuggingFace(path='a/b').verify(Path('.'))\n"
        "except DatasetError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs the package `datasets`, which is not installed; pip install datasets" in done.stdout


@pytest.mark.usefixtures("library")
def test_a_local_folder_of_images(pictures: Path) -> None:
    dataset = HuggingFace(path="pictures", resolution=8)
    root = pictures.parent
    dataset.verify(root)
    assert dataset.info(root).class_names == ("cat", "dog")
    train, test = dataset.load(root, "train"), dataset.load(root, "test")
    assert train.labels.tolist() == [0] * 5 + [1] * 5
    assert test.pixels.shape == (4, 3, 8, 8)
    assert np.allclose(train.pixels.mean((1, 2, 3)), [60] * 5 + [190] * 5, atol=6)


def test_local_parquet_files_with_other_column_names_and_text_labels(library: Any, pictures: Path) -> None:
    def with_bytes(row: dict[str, Any]) -> dict[str, Any]:
        name = "dog" if row["label"] else "cat"
        return {"photo": {"bytes": Path(row["image"]["path"]).read_bytes(), "path": None}, "kind": name}

    raw = library.load_dataset(str(pictures), split="train").cast_column("image", library.Image(decode=False))
    features = library.Features({"photo": library.Image(decode=False), "kind": library.Value("string")})
    table = raw.map(with_bytes, remove_columns=["image", "label"], features=features)
    (pictures.parent / "files").mkdir()
    table.to_parquet(str(pictures.parent / "files" / "train-00000-of-00001.parquet"))
    dataset = HuggingFace(
        path="files", image_column="photo", label_column="kind", test_split=None, test_fraction=0.4, resolution=8
    )
    root = pictures.parent
    assert dataset.info(root).class_names == ("cat", "dog")
    train, test = dataset.load(root, "train"), dataset.load(root, "test")
    assert len(train.labels) + len(test.labels) == 10
    assert set(train.labels) == set(test.labels) == {0, 1}
    assert not set(train.identities) & set(test.identities)
    assert np.allclose(train.pixels.mean((1, 2, 3)), np.array([60, 190])[train.labels], atol=6)


@pytest.mark.parametrize("kind", ["string", "int64"])
def test_rows_without_a_label_are_counted_and_named(library: Any, pictures: Path, kind: str) -> None:
    raw = library.load_dataset(str(pictures), split="train")
    values = {"string": ["cat", "dog"], "int64": [3, 8]}[kind]
    labels = [None if row in (2, 7) else values[label] for row, label in enumerate(raw["label"])]
    table = raw.remove_columns("label").add_column("label", labels)
    library.DatasetDict({"train": table}).save_to_disk(str(pictures.parent / "gaps"))
    with pytest.raises(DatasetError, match="2 rows of split train have no label in column label: 2, 7"):
        HuggingFace(path="gaps", test_split=None, resolution=8).info(pictures.parent)


@pytest.mark.usefixtures("library")
def test_splits_that_are_not_used_are_named(pictures: Path, save_image: Callable[..., Path]) -> None:
    for name in ("cat", "dog"):
        save_image(pictures / "validation" / name / "0.png")
    told, *_ = HuggingFace(path="pictures", resolution=8).remarks(pictures.parent)
    assert "its splits validation are not used" in told


def test_rows_keep_their_split_when_rows_are_added_before_them(library: Any, pictures: Path) -> None:
    table = library.load_dataset(str(pictures), split="train")
    options = {"test_split": None, "test_fraction": 0.4, "resolution": 8}
    library.DatasetDict({"train": table}).save_to_disk(str(pictures.parent / "before"))
    more = library.load_dataset(str(pictures), split="test")
    library.DatasetDict({"train": library.concatenate_datasets([more, table])}).save_to_disk(
        str(pictures.parent / "after")
    )
    before, after = (HuggingFace(path=path, **options) for path in ("before", "after"))
    root = pictures.parent
    kept = set(before.listing(root, "train").identities().tolist())
    assert not kept & set(after.listing(root, "test").identities().tolist())


def test_a_set_saved_to_disk(library: Any, pictures: Path) -> None:
    library.load_dataset(str(pictures)).save_to_disk(str(pictures.parent / "saved"))
    images = HuggingFace(path="saved", resolution=8).load(pictures.parent, "train")
    assert images.labels.tolist() == [0] * 5 + [1] * 5


@pytest.mark.usefixtures("library")
def test_the_cache_is_used_again(pictures: Path) -> None:
    dataset = HuggingFace(path="pictures", resolution=8)
    dataset.load(pictures.parent, "train")
    (path,) = (pictures.parent / ".cache" / "cifar_tune" / "decoded").glob("*.npy")
    made = path.stat().st_mtime_ns
    dataset.load(pictures.parent, "train")
    assert path.stat().st_mtime_ns == made


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_column": "photo"}, r"pictures has no column photo; its columns are image, label \(image_column\)"),
        ({"label_column": "kind"}, r"pictures has no column kind; its columns are image, label \(label_column\)"),
        (
            {"test_split": "val"},
            r"has no split val; its splits are .*\. Set test_split to one of them, or to null",
        ),
        ({"path": "missing"}, r"there is no folder .*/missing; sets on the hub are named owner/name"),
        ({"train_split": "more"}, r"cannot load split more of pictures: Unknown split \"more\""),
        (
            {"path": "no/such"},
            r"split train of no/such: .*there is no folder .*, and the hub needs a network",
        ),
    ],
)
def test_what_is_not_there_is_named(pictures: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        HuggingFace(**{"path": "pictures", **options}).verify(pictures.parent)


@pytest.mark.parametrize("split", ["all", "test", "train+test", "train[:50%]"])
def test_the_test_images_cannot_be_trained_on(split: str) -> None:
    with pytest.raises(ValidationError, match=r"would train on the test images|should match pattern"):
        HuggingFace(path="a/b", train_split=split)
