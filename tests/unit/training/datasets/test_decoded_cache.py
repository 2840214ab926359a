"""The decoded cache: made once by whoever comes first, whole or not at all, continued after a kill."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.decoded_cache import CHUNK_IMAGES, Recipe, decoded

SHAPE = (10 * CHUNK_IMAGES + 7, 3, 4, 4)

# Decodes slowly, noting each chunk in a file, and records at once what it decoded.
SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from cifar_tune.training.datasets import decoded_cache
decoded_cache.SECONDS_BETWEEN_RECORDS = 0
folder, notes = Path(sys.argv[1]), Path(sys.argv[2])
def decode(start, stop):
    time.sleep(0.1)
    with notes.open("a") as file:
        file.write(f"{start}\\n")
    return np.arange(start, stop).astype(np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 3, 4, 4), np.uint8)
decoded_cache.decoded(folder, decoded_cache.Recipe("slow", "here", "1", (647, 3, 4, 4), decode))
"""


def expected() -> np.ndarray:
    """Image n is filled with n modulo 256."""
    return np.broadcast_to(np.arange(SHAPE[0]).astype(np.uint8).reshape(-1, 1, 1, 1), SHAPE)


def decode(start: int, stop: int) -> np.ndarray:
    return expected()[start:stop]


def recipe(version: str = "1", source: str = "here") -> Recipe:
    return Recipe("slow", source, version, SHAPE, decode)


def slow_process(folder: Path, notes: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(folder), str(notes)])


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def files_of(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir() if path.suffix != ".lock")


def test_the_array_is_what_was_decoded_and_takes_no_memory(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, recipe())
    assert np.array_equal(pixels, expected())
    assert isinstance(pixels, np.memmap)
    assert pixels.dtype == np.uint8
    assert files_of(tmp_path) == [".npy"]


def test_writing_to_the_array_does_not_reach_the_file(tmp_path: Path) -> None:
    decoded(tmp_path, recipe())[:] = 0
    assert np.array_equal(decoded(tmp_path, recipe()), expected())


def test_a_killed_process_leaves_what_the_next_one_goes_on_with(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    cache = tmp_path / "cache"
    process = slow_process(cache, notes)
    wait_until(lambda: any(path.read_bytes().count(1) >= 3 for path in cache.glob("*.done")))
    process.kill()
    process.wait()
    assert files_of(cache) == [".done", ".part"]
    (record,) = (path.read_bytes() for path in cache.glob("*.done"))
    finished = {index * CHUNK_IMAGES for index, mark in enumerate(record) if mark}
    notes.unlink()
    assert slow_process(cache, notes).wait(60) == 0
    redone = {int(line) for line in notes.read_text().split()}
    assert redone == set(range(0, SHAPE[0], CHUNK_IMAGES)) - finished
    assert np.array_equal(decoded(cache, recipe()), expected())


@pytest.mark.slow
def test_of_processes_that_start_at_once_one_decodes(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    processes = [slow_process(tmp_path / "cache", notes) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert Counter(notes.read_text().split()).most_common(1)[0][1] == 1
    assert np.array_equal(decoded(tmp_path / "cache", recipe()), expected())


def test_a_record_without_its_pixels_counts_for_nothing(tmp_path: Path) -> None:
    path = recipe().path(tmp_path)
    path.with_suffix(".npy.done").write_bytes(b"\1" * 11)
    assert np.array_equal(decoded(tmp_path, recipe()), expected())


def test_a_new_version_replaces_the_old_and_leaves_other_sources_alone(tmp_path: Path) -> None:
    decoded(tmp_path, recipe(source="elsewhere"))
    old = decoded(tmp_path, recipe(version="1"))
    decoded(tmp_path, recipe(version="2"))
    assert not recipe(version="1").path(tmp_path).exists()
    assert recipe(version="2").path(tmp_path).exists()
    assert recipe(source="elsewhere").path(tmp_path).exists()
    assert np.array_equal(old, expected()), "who holds the old array keeps it"


def test_unreadable_images_are_all_named_and_the_others_kept(tmp_path: Path) -> None:
    tried = []

    def fails_twice(start: int, stop: int) -> np.ndarray:
        tried.append(start)
        if start in (0, 3 * CHUNK_IMAGES):
            raise DatasetError(f"image {start} cannot be read")
        return decode(start, stop)

    with pytest.raises(DatasetError) as error:
        decoded(tmp_path, Recipe("slow", "here", "1", SHAPE, fails_twice))
    assert sorted(str(error.value).split("\n")) == ["image 0 cannot be read", "image 192 cannot be read"]
    assert len(tried) == 11
    redone = []

    def repaired(start: int, stop: int) -> np.ndarray:
        redone.append(start)
        return decode(start, stop)

    assert np.array_equal(decoded(tmp_path, Recipe("slow", "here", "1", SHAPE, repaired)), expected())
    assert sorted(redone) == [0, 3 * CHUNK_IMAGES]


def test_a_folder_that_cannot_be_made_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cannot write decoded images to .*/file: .*; set CIFAR_TUNE_CACHE to"):
        decoded(tmp_path / "file", recipe())


def test_too_small_a_disk_is_seen_before_the_first_image(tmp_path: Path) -> None:
    huge = Recipe("huge", "here", "1", (10**9, 3, 1024, 1024), decode)
    with pytest.raises(DatasetError, match=r"3145728.0 GB are needed and \d+\.\d GB are free; set CIFAR_TUNE_CACHE"):
        decoded(tmp_path, huge)


def test_a_disk_that_fills_up_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    limit = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
from cifar_tune.errors import DatasetError
sys.argv = ["", sys.argv[1], sys.argv[2]]
try:
    exec(sys.stdin.read())
except DatasetError as error:
    print(error)
"""
    command = [sys.executable, "-c", limit, str(tmp_path / "cache"), str(tmp_path / "notes")]
    done = subprocess.run(command, input=SLOW, capture_output=True, text=True, check=True)
    assert "File too large; set CIFAR_TUNE_CACHE to a folder on a disk with room" in done.stdout


def test_who_waits_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "cifar_tune.training.datasets.decoded_cache")
    go_on = threading.Event()

    def held(start: int, stop: int) -> np.ndarray:
        assert go_on.wait(60)
        return decode(start, stop)

    first = threading.Thread(target=decoded, args=(tmp_path, Recipe("slow", "here", "1", SHAPE, held)))
    first.start()
    wait_until(lambda: list(tmp_path.glob("*.done")))
    second = threading.Thread(target=decoded, args=(tmp_path, recipe()))
    second.start()
    wait_until(lambda: "another process decodes slow; waiting for it" in caplog.text)
    go_on.set()
    first.join()
    second.join()
    assert files_of(tmp_path) == [".npy"]
