"""Published archives, fetched, checked and unpacked."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.checksums import md5_of, prepare_command
from cifar_tune.training.datasets.progress import progress

TIMEOUT_SECONDS = 30
"""Without a byte from the server."""

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A .tar.gz that its publisher keeps at `url`. bytes, unpacked_bytes: rounded, to see whether there is room."""

    url: str
    md5: str
    bytes: int
    unpacked_bytes: int

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


def fetch(dataset: str, archive: Archive, root: Path) -> None:
    """Unpacks an archive into `root`, over what is there; downloads it first unless it lies in `root` already.

    A broken download is continued next time. A downloaded archive is deleted once unpacked, one found is left alone.

    Raises:
        DatasetError: There is no network, too little room, or the file is not what was published.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        found = (root / archive.file_name).is_file()
        _check_room(archive, root, packed=0 if found else archive.bytes)
        path = root / archive.file_name if found else _download(dataset, archive, root)
        if (md5 := md5_of(path)) != archive.md5:
            if not found:
                path.unlink()
            raise DatasetError(
                f"{path} is corrupt: its md5 is {md5}, the published file's is {archive.md5}; "
                f"{'replace or delete it' if found else 'it was deleted'}, then run "
                f"{prepare_command(dataset, root)} again"
            )
        _unpack(path, root, archive)
        if not found:
            path.unlink()
    except DatasetError:
        raise
    except OSError as error:
        raise DatasetError(f"cannot write to {root.absolute()}: {error.strerror or error}") from error


def _check_room(archive: Archive, root: Path, packed: int) -> None:
    free, needed = shutil.disk_usage(root).free, packed + archive.unpacked_bytes
    if needed > free:
        raise DatasetError(
            f"{archive.file_name} needs {needed / 1e9:.1f} GB in {root.absolute()} (download and unpacked files), "
            f"and {free / 1e9:.1f} GB are free; make room or choose another folder with --data"
        )


def _download(dataset: str, archive: Archive, root: Path) -> Path:
    """Returns the path of the downloaded file, `<name>.part`; goes on where an earlier attempt broke off."""
    part = root / f"{archive.file_name}.part"
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(archive.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return part
        raise _unreachable(dataset, archive, root, error) from error
    except OSError as error:
        raise _unreachable(dataset, archive, root, error) from error
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        have = 0
    total = have + int(answer.headers.get("Content-Length", archive.bytes - have))
    title = f"downloading {archive.file_name}"
    with answer, part.open("ab" if have else "wb") as file, progress(title, total, have, size=True) as advance:
        while True:
            try:
                block = answer.read(BLOCK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise _unreachable(dataset, archive, root, error) from error
            if not block:
                break
            file.write(block)
            advance(len(block))
    if part.stat().st_size < total:
        raise _unreachable(dataset, archive, root, ConnectionError("the connection broke off"))
    return part


def _unreachable(dataset: str, archive: Archive, root: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"cannot download {archive.url}: {getattr(error, 'reason', error)}. Run {prepare_command(dataset, root)} again "
        f"to go on; without a network, fetch the file elsewhere, put it into {root.absolute()} and run the same command"
    )


def _unpack(path: Path, root: Path, archive: Archive) -> None:
    """Unpacks beside the target and then renames file by file, so that no file is ever half there."""
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=root) as temporary:
        with (
            tarfile.open(path) as tar,
            progress(f"unpacking {path.name}", archive.unpacked_bytes, size=True) as advance,
        ):
            for member in tar:
                tar.extract(member, temporary, filter="data")
                advance(member.size)
        for file in sorted(Path(temporary).rglob("*")):
            target = root / file.relative_to(temporary)
            if file.is_dir():
                target.mkdir(exist_ok=True)
            else:
                os.replace(file, target)
