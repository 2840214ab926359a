"""Decoded images on disk: made once a machine, then memory-mapped by every trial and shared through the page cache.

A cache file is a .npy array of uint8. While it is made there is `<name>.part`, of full length, and `<name>.done`,
one byte a chunk: 1 once the chunk's pixels are safely in `.part`. Whoever holds `<name>.lock` decodes; a killed process
lets go of the lock, and the next one goes on where the record ends. The finished file gets its name by rename, so that
it is whole if it is there at all.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import math
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.progress import progress

FORMAT = 1
"""Rises with every change of what the same source decodes to; older files are then made again."""

CHUNK_IMAGES = 64
"""10 MB at 224 px: held in memory once or twice a thread."""

SECONDS_BETWEEN_RECORDS = 1.0
"""A record waits for the disk; a kill undoes the work since the last one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What one cache file is made from, and how.

    name: for people, such as "food101-train-64px". source: where the images are. version: changes whenever they do.
    shape: of the whole array, (N, C, H, W). decode: (start, stop) -> (stop - start, C, H, W) uint8, from any thread.
    """

    name: str
    source: str
    version: str
    shape: tuple[int, int, int, int]
    decode: Callable[[int, int], np.ndarray]

    def path(self, folder: Path) -> Path:
        """Returns where the finished array lies."""
        return folder / f"{self._prefix()}{_digest(f'{FORMAT} {self.version} {self.shape}')}.npy"

    def stale(self, folder: Path) -> list[Path]:
        """Returns the arrays that an earlier version of the same source left behind, whole or not."""
        current = self.path(folder).name
        others = (path for path in folder.iterdir() if path.name.startswith(self._prefix()))
        return [path for path in others if not path.name.startswith(current) and path.suffix != ".lock"]

    def _prefix(self) -> str:
        return f"{self.name}-{_digest(self.source)}-"


def decoded(folder: Path, recipe: Recipe) -> np.ndarray:
    """Returns the (N, C, H, W) uint8 array of a recipe, memory-mapped copy-on-write; makes it where it is not there.

    Raises:
        DatasetError: Images cannot be read (all others are decoded and kept), or the folder cannot be written to.
    """
    path = recipe.path(folder)
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(path, recipe):
                if not path.exists():
                    _make(path, recipe)
                    for old in recipe.stale(folder):
                        old.unlink(missing_ok=True)
        except DatasetError:
            raise
        except OSError as error:
            raise DatasetError(
                f"cannot write decoded images to {folder}: {error.strerror or error}; "
                f"set CIFAR_TUNE_CACHE to a folder on a disk with room that you may write to"
            ) from error
    pixels: np.ndarray = np.load(path, mmap_mode="c")
    return pixels


def _locked(path: Path, recipe: Recipe) -> AbstractContextManager[object]:
    """Returns the lock of a cache file, acquired, to be released by `with`; says so if it must wait."""
    lock = FileLock(f"{path}.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        log.info("another process decodes %s; waiting for it", recipe.name)
        return lock.acquire()


def _make(path: Path, recipe: Recipe) -> None:
    """Decodes all chunks that no earlier process finished, then names the file."""
    unfinished = _Unfinished(path, recipe.shape)
    todo = iter(unfinished.missing_chunks())
    total = recipe.shape[0]
    problems, recorded = {}, time.monotonic()
    with (
        unfinished,
        ThreadPoolExecutor(usable_cores()) as pool,
        progress(f"decoding {recipe.name}", total, done=unfinished.finished_images()) as advance,
    ):
        # Two chunks a thread are under way, so that memory stays small and no thread waits for the disk.
        under_way = {pool.submit(recipe.decode, *chunk): chunk for chunk in islice(todo, 2 * usable_cores())}
        while under_way:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                start, stop = under_way.pop(future)
                under_way |= {pool.submit(recipe.decode, *chunk): chunk for chunk in islice(todo, 1)}
                try:
                    unfinished.write(start, future.result())
                except DatasetError as error:
                    problems[start] = str(error)
                advance(stop - start)
            if time.monotonic() - recorded > SECONDS_BETWEEN_RECORDS:
                unfinished.record()
                recorded = time.monotonic()
        unfinished.record()
    if problems:
        raise DatasetError("\n".join(problems[start] for start in sorted(problems)))
    unfinished.finish()


class _Unfinished:
    """An array being written: its pixels so far, and the record of the chunks that are safely on disk."""

    def __init__(self, path: Path, shape: tuple[int, int, int, int]) -> None:
        self.path = path
        self.shape = shape
        self.part = path.with_suffix(".npy.part")
        self.done = path.with_suffix(".npy.done")
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        self.header = header.getvalue()
        chunks = -(-shape[0] // CHUNK_IMAGES)
        if not self.part.exists() or not self.done.exists() or self.done.stat().st_size != chunks:
            self._begin(chunks)
        self.marks = bytearray(self.done.read_bytes())

    def _begin(self, chunks: int) -> None:
        self.done.unlink(missing_ok=True)
        needed = len(self.header) + math.prod(self.shape)
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")
        with self.part.open("wb") as file:
            file.write(self.header)
            file.truncate(needed)
            os.fsync(file.fileno())
        self.done.write_bytes(bytes(chunks))

    def missing_chunks(self) -> list[tuple[int, int]]:
        """Returns (start, stop) of every run of images that is still to be decoded."""
        starts = (chunk * CHUNK_IMAGES for chunk, mark in enumerate(self.marks) if not mark)
        return [(start, min(start + CHUNK_IMAGES, self.shape[0])) for start in starts]

    def finished_images(self) -> int:
        return self.shape[0] - sum(stop - start for start, stop in self.missing_chunks())

    def __enter__(self) -> _Unfinished:
        self.pixels = self.part.open("r+b")
        return self

    def __exit__(self, *_: object) -> None:
        self.pixels.close()

    def write(self, start: int, pixels: np.ndarray) -> None:
        """Writes the decoded images from `start` on; a full disk raises here, not as a fault in mapped memory later."""
        self.pixels.seek(len(self.header) + start * math.prod(self.shape[1:]))
        self.pixels.write(np.ascontiguousarray(pixels).data)
        self.marks[start // CHUNK_IMAGES] = 1

    def record(self) -> None:
        """Notes the chunks written so far as done, once their pixels are on disk."""
        self.pixels.flush()
        os.fsync(self.pixels.fileno())
        with self.done.open("r+b") as marks:
            marks.write(self.marks)

    def finish(self) -> None:
        os.replace(self.part, self.path)
        self.done.unlink()


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _digest(text: str) -> str:
    return hashlib.blake2b(os.fsencode(text), digest_size=6).hexdigest()
