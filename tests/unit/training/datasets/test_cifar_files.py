"""CIFAR from its published files: checked, unpickled without running code, the test split untouched."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.checksums import Published, md5_of
from cifar_tune.training.datasets.cifar import Cifar10, Cifar100
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.split import split_positions


def test_a_missing_set_names_the_folder_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        Cifar10().verify(tmp_path)
    assert str(error.value) == (
        f"data set cifar10: {tmp_path}/cifar-10-batches-py is not there. "
        f"`python -m cifar_tune.datasets prepare cifar10 --data {tmp_path}` downloads it; without a network, "
        f"copy the published files into that folder, or name its parent with --data or CIFAR_TUNE_DATA"
    )


def test_missing_files_are_named(tiny_cifar10: Cifar10, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").unlink()
    with pytest.raises(DatasetError, match="cifar-10-batches-py lacks data_batch_2"):
        tiny_cifar10.verify(tmp_path)


def test_a_changed_file_is_named_with_both_sums(tiny_cifar10: Cifar10, tmp_path: Path) -> None:
    tiny_cifar10.verify(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    expected = tiny_cifar10.files["train"]["data_batch_1"].md5
    with pytest.raises(DatasetError, match=rf"data_batch_1 is corrupt: its md5 is \w{{32}}, .* {expected}; delete"):
        tiny_cifar10.verify(tmp_path)
    with pytest.raises(DatasetError, match="data_batch_1 is corrupt"):
        tiny_cifar10.load(tmp_path, "train")


def test_a_truncated_test_file_is_found_by_its_size_without_opening_it(
    tiny_cifar10: Cifar10, tmp_path: Path, opened_files: list[str]
) -> None:
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    os.truncate(path, 100)
    with pytest.raises(DatasetError, match=r"test_batch is corrupt: it has 100 bytes, the published file has \d+"):
        tiny_cifar10.verify(tmp_path)
    assert str(path) not in opened_files


def test_training_never_opens_the_test_file(tiny_cifar10: Cifar10, tmp_path: Path, opened_files: list[str]) -> None:
    tiny_cifar10.info(tmp_path)
    tiny_cifar10.verify(tmp_path)
    tiny_cifar10.build(tmp_path)
    images = tiny_cifar10.load(tmp_path, "train")
    split_positions(images.labels, tiny_cifar10.model_copy(update={"validation_fraction": 0.5}))
    assert any("data_batch_1" in path for path in opened_files)
    assert not any("test_batch" in path for path in opened_files)
    tiny_cifar10.load(tmp_path, "test")
    assert any("test_batch" in path for path in opened_files)


def test_verified_files_are_not_hashed_again_until_they_change(
    tiny_cifar10: Cifar10, tmp_path: Path, opened_files: list[str]
) -> None:
    tiny_cifar10.verify(tmp_path)
    opened_files.clear()
    tiny_cifar10.verify(tmp_path)
    assert not any("data_batch" in path for path in opened_files)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    tiny_cifar10.verify(tmp_path)
    assert [opened for opened in opened_files if "data_batch" in opened] == [str(path)]


def test_files_are_verified_where_nothing_can_be_written(
    tiny_cifar10: Cifar10, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_file").touch()
    monkeypatch.setenv("CIFAR_TUNE_CACHE", str(tmp_path / "a_file"))
    tiny_cifar10.verify(tmp_path)
    assert len(tiny_cifar10.load(tmp_path, "train").labels) == 40


def test_a_pickle_that_would_run_code_is_refused_even_under_the_right_sum(
    tiny_cifar10: Cifar10, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "was_run"),)

    path = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": Attack()}, protocol=3))
    tampered = {**tiny_cifar10.files["train"], "data_batch_1": Published(path.stat().st_size, md5_of(path))}
    monkeypatch.setattr(type(tiny_cifar10), "files", {**tiny_cifar10.files, "train": tampered})
    with pytest.raises(pickle.UnpicklingError, match="mkdir has no place in a CIFAR file"):
        tiny_cifar10.load(tmp_path, "train")
    assert not (tmp_path / "was_run").exists()


def test_another_resolution_is_resized_once_and_memory_mapped(tiny_cifar10: Cifar10, tmp_path: Path) -> None:
    larger = tiny_cifar10.model_copy(update={"resolution": 48})
    native = tiny_cifar10.load(tmp_path, "train").pixels
    first = larger.load(tmp_path, "train").pixels
    made = [path.stat().st_mtime_ns for path in (tmp_path / ".cache" / "cifar_tune" / "decoded").glob("*.npy")]
    again = larger.load(tmp_path, "train").pixels
    assert isinstance(again, np.memmap)
    assert first.shape == (40, 3, 48, 48)
    assert np.array_equal(first, again)
    assert [path.stat().st_mtime_ns for path in (tmp_path / ".cache" / "cifar_tune" / "decoded").glob("*.npy")] == made
    assert len(made) == 1
    assert abs(first.mean() - native.mean()) < 1


def test_superclasses_are_the_published_ones() -> None:
    info = Cifar100().info(Path("nowhere"))
    assert info.coarse_names is not None
    assert info.coarse_of_fine is not None
    assert len(info.class_names) == 100
    assert np.bincount(info.coarse_of_fine).tolist() == [5] * 20
    assert info.coarse_names[info.coarse_of_fine[info.class_names.index("rocket")]] == "vehicles_2"
    coarse = Cifar100(labels="coarse").info(Path("nowhere"))
    assert coarse.class_names == info.coarse_names
    assert coarse.coarse_of_fine is None


@pytest.mark.slow
def test_verifying_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cifar_tune.errors import DatasetError\n"
        "from cifar_tune.training.datasets.cifar import Cifar10\n"
        f"try: Cifar10().verify(Path({str(tmp_path)!r}))\n"
        "except DatasetError: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.realdata
class TestPublishedFiles:
    """The complete sets, against torchvision's reading of them."""

    @pytest.mark.parametrize("split", ["train", "test"])
    @pytest.mark.parametrize(
        ("dataset", "reference"),
        [(Cifar10(), "CIFAR10"), (Cifar100(), "CIFAR100")],
    )
    @pytest.mark.filterwarnings("ignore:dtype:Warning")
    def test_pixels_and_labels_are_torchvisions(
        self, real_data: Path, dataset: Cifar10 | Cifar100, reference: str, split: Split
    ) -> None:
        import torchvision

        images = dataset.load(real_data, split)
        expected = getattr(torchvision.datasets, reference)(real_data, train=split == "train", download=False)
        assert np.array_equal(images.pixels, expected.data.transpose(0, 3, 1, 2))
        assert images.labels.tolist() == expected.targets
        assert list(dataset.info(real_data).class_names) == expected.classes

    @pytest.mark.parametrize("dataset", [Cifar10(), Cifar100()])
    def test_mean_and_std_are_those_of_the_training_images(self, real_data: Path, dataset: Cifar10 | Cifar100) -> None:
        pixels = dataset.load(real_data, "train").pixels / np.float32(255)
        info = dataset.info(real_data)
        assert info.mean == pytest.approx(pixels.mean((0, 2, 3), dtype=np.float64), abs=6e-5)
        assert info.std == pytest.approx(pixels.std((0, 2, 3), dtype=np.float64), abs=6e-5)

    def test_coarse_labels_follow_from_fine_ones(self, real_data: Path) -> None:
        fine = Cifar100().load(real_data, "train").labels
        coarse = Cifar100(labels="coarse").load(real_data, "train").labels
        assert np.array_equal(np.array(Cifar100().info(real_data).coarse_of_fine)[fine], coarse)

    def test_cifar10_loads_in_a_second(self, real_data: Path) -> None:
        Cifar10().verify(real_data)
        start = time.perf_counter()
        Cifar10().load(real_data, "train")
        # 0.2 s on an idle machine; busy ones get their time.
        assert time.perf_counter() - start < 3
