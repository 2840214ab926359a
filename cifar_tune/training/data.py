"""The images of a trial: on its device as uint8, or streamed there. N images, C channels, H W size, B batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cifar_tune.training.datasets import AnyDataset, DatasetInfo, Images
from cifar_tune.training.datasets.hash_split import split_training
from cifar_tune.training.device import free_memory_bytes

RESIDENT_SHARE = 0.25
"""Of a GPU's free memory, what images may take for good; the rest is the network's.

Food-101 at 128 px has 3.4 GiB: it stays on a card of 16 GB and is streamed to one of 8, which needs the room.
"""


@dataclass(frozen=True)
class ImageSource:
    """One split of a data set, as a trial reads it.

    pixels: (N, C, H, W) uint8; on `device`, or in the host's memory or page cache and then streamed.
    labels: (N,) int64 on `device`.
    rows: which of `pixels` the split is made of, on the pixels' device; None is all of them, in order.
    """

    pixels: Tensor
    labels: Tensor
    rows: Tensor | None
    device: torch.device

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: Tensor, size: int) -> Iterator[Tensor]:
        """Yields (B, C, H, W) uint8 images on `device`, `size` at a time in this order; the last batch may be smaller.

        order: (M,) int64 on `device`, places in this split. A streamed source waits for it once, at the start.
        """
        places = order.to(self.pixels.device)
        chunks = torch.split(places if self.rows is None else self.rows[places], size)
        if self.device.type == "cuda" and not self.pixels.is_cuda:
            yield from _streamed(self.pixels, chunks, self.device)
            return
        for chunk in chunks:
            yield self.pixels.index_select(0, chunk).to(self.device)

    def pixels_at(self, places: np.ndarray) -> np.ndarray:
        """Returns the images at these places in this split, (M, C, H, W) uint8, in the host's memory."""
        order = torch.from_numpy(places).to(self.device)
        return torch.cat(list(self.batches(order, len(places)))).cpu().numpy()


@dataclass(frozen=True)
class TrainingData:
    """What search may see: a training and a validation split, both of the data set's training images."""

    train: ImageSource
    validation: ImageSource
    info: DatasetInfo


_last_loaded: dict[tuple[AnyDataset, Path, torch.device], TrainingData] = {}
"""The data of the process's last trial: a worker's next trial most often wants the same."""


def load_data(dataset: AnyDataset, root: Path, device: torch.device) -> TrainingData:
    """Returns the training images of a data set, split; the test images stay unopened.

    Raises:
        DatasetError: A file is missing or corrupt, or there are too few images to split.
    """
    key = dataset, root.absolute(), device
    if key not in _last_loaded:
        _last_loaded.clear()
        images = dataset.load(root, "train")
        info = dataset.info(root)
        train, validation = split_training(
            images.labels, dataset, images.identities, images.validation, info.class_names
        )
        _last_loaded[key] = TrainingData(
            open_source(images, device, train), open_source(images, device, validation), info
        )
    return _last_loaded[key]


def open_source(images: Images, device: torch.device, positions: np.ndarray | None = None) -> ImageSource:
    """Returns the images at these positions, all by default: on the device where they fit, else streamed to it.

    Memory-mapped images that serve the CPU stay where they are, for other processes share their pages.
    """
    labels = images.labels if positions is None else images.labels[positions]
    pixels = _tensor(images.pixels)
    rows = None if positions is None else torch.from_numpy(positions)
    if not _stays_on_host(images.pixels, len(labels), device):
        pixels = (pixels if rows is None else pixels.index_select(0, rows)).to(device)
        rows = None
    return ImageSource(pixels, torch.from_numpy(labels).to(device), rows, device)


def _stays_on_host(pixels: np.ndarray, count: int, device: torch.device) -> bool:
    if device.type == "cpu":
        return isinstance(pixels, np.memmap)
    return pixels[:1].nbytes * count > RESIDENT_SHARE * free_memory_bytes(device)


def _tensor(pixels: np.ndarray) -> Tensor:
    """Returns the same memory as a tensor, which nothing here writes to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(pixels)


def _streamed(pixels: Tensor, chunks: tuple[Tensor, ...], device: torch.device) -> Iterator[Tensor]:
    """Yields the rows of host memory on a CUDA device, through two pinned buffers.

    The host gathers a batch while the device computes on the one before, and copies it on a stream of its own.
    """
    largest = max(map(len, chunks), default=0)
    buffers = [torch.empty(largest, *pixels.shape[1:], dtype=torch.uint8, pin_memory=True) for _ in range(2)]
    copied = [torch.cuda.Event(), torch.cuda.Event()]  # type: ignore[no-untyped-call]
    computing = torch.cuda.current_stream(device)
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for index, chunk in enumerate(chunks):
        buffer, event = buffers[index % 2][: len(chunk)], copied[index % 2]
        event.synchronize()
        torch.index_select(pixels, 0, chunk, out=buffer)
        with torch.cuda.stream(copying):
            images = buffer.to(device, non_blocking=True)
            event.record(copying)
        computing.wait_stream(copying)
        images.record_stream(computing)
        yield images
