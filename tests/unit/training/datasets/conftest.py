"""Small data sets in the published formats, and a record of every file that is opened."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from cifar_tune.training.datasets.checksums import Published
from cifar_tune.training.datasets.cifar import Cifar10
from cifar_tune.training.datasets.dataset import Split

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
    """The paths of all files that the test has opened so far."""
    _listening.append([])
    yield _listening[-1]
    _listening.pop()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches lie beside the test's data."""
    monkeypatch.delenv("CIFAR_TUNE_CACHE", raising=False)


def python2_pickle(content: object) -> bytes:
    """Returns a pickle whose arrays name numpy as the published files do."""
    return pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def published(path: Path) -> Published:
    return Published(path.stat().st_size, hashlib.md5(path.read_bytes()).hexdigest())


@pytest.fixture
def tiny_cifar10(tmp_path: Path) -> Cifar10:
    """CIFAR-10 of 2 x 20 training and 10 test images, with the sums of its files, laid out below `tmp_path`."""
    random = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, count in (("data_batch_1", 20), ("data_batch_2", 20), ("test_batch", 10)):
        pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = [index % 10 for index in range(count)]
        (folder / name).write_bytes(python2_pickle({b"data": pixels, b"labels": labels}))

    class TinyCifar10(Cifar10):
        files: ClassVar[Mapping[Split, Mapping[str, Published]]] = {
            "train": {name: published(folder / name) for name in ("data_batch_1", "data_batch_2")},
            "test": {"test_batch": published(folder / "test_batch")},
        }

    return TinyCifar10()


@pytest.fixture
def save_image() -> Callable[..., Path]:
    """Writes a noisy image whose mean tells its class, different under every name, and returns its path."""

    def save(path: Path, level: int = 128, size: tuple[int, int] = (40, 30)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = [level, *map(ord, path.name), len(path.parts)]
        noise = np.random.default_rng(seed).integers(-20, 20, (size[1], size[0], 3))
        Image.fromarray(np.clip(level + noise, 0, 255).astype(np.uint8)).save(path)
        return path

    return save
