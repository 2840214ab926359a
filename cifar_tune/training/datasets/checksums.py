"""Published files, checked before anything is read from them."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.cache_folder import cache_folder, keep


@dataclass(frozen=True)
class Published:
    """What the publisher says of one file: its size and its md5 in hexadecimal."""

    bytes: int
    md5: str


def check_presence(dataset: str, folder: Path, files: Mapping[str, Published], root: Path) -> None:
    """Looks at names and sizes only; opens nothing.

    Raises:
        DatasetError: A file is missing or has the wrong size.
    """
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise DatasetError(missing_message(dataset, folder, missing, root))
    for name, published in files.items():
        size = (folder / name).stat().st_size
        if size != published.bytes:
            raise DatasetError(
                f"{folder / name} is corrupt: it has {size} bytes, the published file has {published.bytes}; "
                f"{_replace(dataset, root)}"
            )


def check_contents(dataset: str, folder: Path, files: Mapping[str, Published], root: Path) -> None:
    """Compares md5 sums; a file once found right is not hashed again until its size or modification time changes.

    Raises:
        DatasetError: A file is missing, or its contents are not what was published.
    """
    check_presence(dataset, folder, files, root)
    record = cache_folder(root) / "verified.json"
    verified = _verified(record)
    new = {}
    for name, published in files.items():
        path = (folder / name).resolve()
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, published.md5]
        if verified.get(str(path)) == stamp:
            continue
        found = md5_of(path)
        if found != published.md5:
            raise DatasetError(
                f"{folder / name} is corrupt: its md5 is {found}, the published file's is {published.md5}; "
                f"{_replace(dataset, root)}"
            )
        new[str(path)] = stamp
    if new:
        # Two processes at once may lose each other's entries: the loser hashes once more, nothing else.
        keep(record, json.dumps({**_verified(record), **new}, indent=1).encode())


def md5_of(path: Path) -> str:
    """Returns the md5 of a file's contents in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def prepare_command(dataset: str, root: Path) -> str:
    """Returns the command that fetches a data set and makes it ready."""
    return f"`python -m cifar_tune.datasets prepare {dataset} --data {shlex.quote(str(root))}`"


def missing_message(dataset: str, folder: Path, missing: list[str], root: Path) -> str:
    """Returns what to tell someone whose data set is not where it should be."""
    names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    what = "is not there" if not folder.is_dir() else f"lacks {names}"
    return (
        f"data set {dataset}: {folder.absolute()} {what}. {prepare_command(dataset, root)} downloads it; without a "
        f"network, copy the published files into that folder, or name its parent with --data or CIFAR_TUNE_DATA"
    )


def _replace(dataset: str, root: Path) -> str:
    return f"delete it and run {prepare_command(dataset, root)}, or copy it again"


def _verified(record: Path) -> dict[str, list[object]]:
    try:
        content = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
