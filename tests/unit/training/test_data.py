"""Where images lie, and that every way to read them gives the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tune.training.data import ImageSource, load_data, open_source
from cifar_tune.training.datasets import Images
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.digits import Digits

CPU = torch.device("cpu")


def images(count: int = 20) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 4, 4), dtype=np.uint8)
    return Images(pixels, np.arange(count, dtype=np.int64))


def mapped(folder: Path, mode: str = "r") -> Images:
    """The same images, as a decoded cache holds them."""
    path = folder / "pixels.npy"
    np.save(path, images().pixels)
    return Images(np.load(path, mmap_mode=mode), images().labels)  # type: ignore[arg-type]


def all_of(source: ImageSource, order: torch.Tensor, size: int) -> torch.Tensor:
    return torch.cat(list(source.batches(order, size)))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("is_mapped", [True, False])
def test_batches_hold_the_asked_images_in_order(tmp_path: Path, is_mapped: bool, size: int) -> None:
    positions = np.array([1, 4, 5, 9, 13, 14, 19])
    source = open_source(mapped(tmp_path) if is_mapped else images(), CPU, positions)
    order = torch.tensor([6, 0, 3, 2, 1, 5])
    batches = list(source.batches(order, size))
    assert [len(batch) for batch in batches] == [min(size, 6 - done) for done in range(0, 6, size)]
    assert torch.equal(torch.cat(batches), torch.from_numpy(images().pixels[positions[order.numpy()]]))
    assert source.labels.tolist() == positions.tolist()
    assert len(source) == 7


def test_without_positions_all_images_are_read(tmp_path: Path) -> None:
    for given in (images(), mapped(tmp_path)):
        found = all_of(open_source(given, CPU), torch.arange(20), 8)
        assert torch.equal(found, torch.from_numpy(images().pixels))


def test_a_mapped_file_is_read_in_place(tmp_path: Path) -> None:
    given = mapped(tmp_path)
    source = open_source(given, CPU, np.arange(5))
    assert source.pixels.data_ptr() == given.pixels.ctypes.data


def test_the_split_is_that_of_the_data_set(tmp_path: Path) -> None:
    data = load_data(Digits(validation_fraction=0.25, train_size=400), tmp_path, CPU)
    assert (len(data.train), len(data.validation)) == (300, 100)
    both = torch.cat([all_of(source, torch.arange(len(source)), 64) for source in (data.train, data.validation)])
    assert len(both.flatten(1).unique(dim=0)) > 390, "hardly any image is on both sides"
    assert torch.bincount(data.validation.labels).min() >= 9


def test_the_last_data_set_stays_in_the_process(tmp_path: Path) -> None:
    first = load_data(Digits(), tmp_path, CPU)
    assert load_data(Digits(), tmp_path, CPU) is first
    assert load_data(Digits(split_seed=1), tmp_path, CPU) is not first
    assert load_data(Digits(), tmp_path, CPU) is not first


def test_test_images_are_never_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Split] = []
    load = Digits.load

    def watched(self: Digits, root: Path, split: Split) -> Images:
        asked.append(split)
        return load(self, root, split)

    monkeypatch.setattr(Digits, "load", watched)
    load_data(Digits(split_seed=7), tmp_path, CPU)
    assert asked == ["train"]


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_streamed_and_resident_images_are_the_same(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from cifar_tune.training import data

    monkeypatch.setattr(data, "RESIDENT_SHARE", share)
    device = torch.device("cuda", 0)
    source = open_source(images(), device, np.arange(0, 20, 2))
    assert source.pixels.is_cuda == bool(share)
    order = torch.tensor([3, 1, 4, 0, 5, 9, 2], device=device)
    assert torch.equal(all_of(source, order, 3).cpu(), torch.from_numpy(images().pixels[::2][order.cpu()]))
