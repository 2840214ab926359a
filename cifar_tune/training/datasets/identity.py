"""What a picture is, whatever it is called: a digest of its bytes.

The digests of files are kept beside the data sets, each with the size and time of modification that it is of, so that
the files are read once a machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cifar_tune.training.datasets.cache_folder import keep
from cifar_tune.training.datasets.decoded_cache import usable_cores
from cifar_tune.training.datasets.progress import progress

DIGEST_BYTES = 8
"""Of a million pictures, two are taken for one with a chance of 3 in 100 million."""

_records: dict[Path, dict[str, list[Any]]] = {}
"""What this process has read or written, by file."""


def bytes_identity(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest(), "big")


def file_identities(paths: Sequence[str], record: Path) -> np.ndarray:
    """Returns the identities of files, (N,) uint64. record: where they are kept; need not be there.

    A file that cannot be read has that of its name: decoding it says what is wrong, together with all others.
    """
    stamps = {path: _stamp(path) for path in paths}
    known = {path: entry for path, entry in _read(record).items() if path in stamps and entry[:2] == stamps[path]}
    if todo := [path for path in paths if path not in known and None not in stamps[path]]:
        found = zip(todo, read_all("reading pictures", todo, _file_identity), strict=True)
        known |= {path: [*stamps[path], identity] for path, identity in found if identity is not None}
        _records[record] = known
        keep(record, json.dumps(known).encode())
    return np.array(
        [known[path][2] if path in known else bytes_identity(os.fsencode(path)) for path in paths], dtype=np.uint64
    )


def read_all(title: str, sources: Sequence[Any], read: Callable[[Any], Any]) -> list[Any]:
    """Returns what `read` makes of each source, in order; from several threads, with a bar."""
    with ThreadPoolExecutor(usable_cores()) as pool, progress(title, len(sources)) as advance:
        return list(_counted(pool.map(read, sources), advance))


def _counted(values: Iterable[Any], advance: Callable[[int], None]) -> Iterable[Any]:
    for value in values:
        advance(1)
        yield value


def _file_identity(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return bytes_identity(file.read())
    except OSError:
        return None


def _stamp(path: str) -> list[int | None]:
    try:
        status = os.stat(path)
    except OSError:
        return [None, None]
    return [status.st_size, status.st_mtime_ns]


def _read(record: Path) -> dict[str, list[Any]]:
    if record not in _records:
        try:
            _records[record] = dict(json.loads(record.read_bytes()))
        except (OSError, ValueError):
            _records[record] = {}
    return _records[record]
