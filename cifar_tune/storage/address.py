"""Objects of a store, each written whole or not at all. pyarrow, which speaks S3 and Google's protocol, comes late."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cifar_tune.errors import StorageError

Value = TypeVar("Value")

SCHEMES = ("s3", "gs")

PATIENCE_SECONDS = 300.0
"""An outage of the store or of the way to it that a sweep sits out."""

PAUSE_SECONDS = 5.0
"""Between two tries, each of which pyarrow has repeated for some 6 s itself."""

PROBE = b"cifar_tune"
"""Not nothing: of an empty object only the description is read."""

AT_ONCE = 8
"""Requests side by side: to each belongs a way there and back, whatever the object's size."""

Stamp = tuple[int, float]
"""Size and time of change."""

TRANSIENT = ("NETWORK_CONNECTION", "INTERNAL_FAILURE", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "TIMEOUT", "UNAVAILABLE")
"""Words of errors that pass."""

REASONS = {
    ("NO_SUCH_BUCKET", "The specified bucket does not exist"): "there is no such bucket; make it first",
    (
        "INVALID_ACCESS_KEY_ID",
        "INVALID_CLIENT_TOKEN_ID",
        "SIGNATURE_DOES_NOT_MATCH",
        "UNAUTHENTICATED",
        "EXPIRED_TOKEN",
        "MISSING_AUTHENTICATION_TOKEN",
    ): "the credentials are not accepted; s3:// takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws or the "
    "machine's role, gs:// GOOGLE_APPLICATION_CREDENTIALS or the machine's account",
    ("ACCESS_DENIED", "PERMISSION_DENIED", "status 403", "FORBIDDEN"): "access is denied; the credentials must be good "
    "for listing, reading, writing and deleting there",
    ("NETWORK_CONNECTION",): "the store cannot be reached; AWS_ENDPOINT_URL names one that is not Amazon's",
}


@dataclass(frozen=True)
class Address:
    """A place in a store, as a `Path` is one in a file system. bucket: with its scheme. options: after the `?`."""

    bucket: str
    key: str
    options: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Returns the address that is written so. Raises StorageError where it is none."""
        scheme, _, rest = text.partition("://")
        place, _, options = rest.partition("?")
        bucket, _, key = place.partition("/")
        key = key.strip("/")
        if scheme not in SCHEMES or not bucket or not is_inside(key):
            raise StorageError(
                f"{text}: must be s3://BUCKET/FOLDER or gs://BUCKET/FOLDER; other stores can be mounted as a folder"
            )
        return cls(f"{scheme}://{bucket}", key, options)

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" + (f"?{self.options}" if self.options else "")

    def __truediv__(self, name: str) -> Address:
        return replace(self, key=f"{self.key}/{name}")

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    def with_name(self, name: str) -> Address:
        """Returns the address beside this one that has this name."""
        above, slash, _ = self.key.rpartition("/")
        return replace(self, key=f"{above}{slash}{name}")

    @property
    def parent(self) -> Address:
        return replace(self, key=self.key.rpartition("/")[0])

    def read_bytes(self) -> bytes:
        """Returns an object. Raises FileNotFoundError where it is not there, StorageError where it cannot be read."""

        def read() -> bytes:
            with self._files.open_input_stream(self._path) as stream:
                content: bytes = stream.read()
            return content

        return self._tried(read)

    def write_bytes(self, content: bytes, patience: float = PATIENCE_SECONDS) -> None:
        """Makes `content` the object, whole or not at all. Raises StorageError."""

        def write() -> None:
            with self._files.open_output_stream(self._path) as stream:
                stream.write(content)

        try:
            self._tried(write, patience)
        except FileNotFoundError as error:
            raise StorageError(f"{self}: there is no such bucket; make it first") from error

    def copy_to(self, other: Address) -> None:
        """Copies an object within the store. Raises StorageError."""
        self._tried(lambda: self._files.copy_file(self._path, other._path))

    def exists(self) -> bool:
        """Whether there is an object here, or one below. Raises StorageError."""
        return bool(self._tried(lambda: self._files.get_file_info(self._path)).type.value)

    def unlink(self) -> None:
        """Deletes the object, if it is there. Raises StorageError."""
        try:
            self._tried(lambda: self._files.delete_file(self._path))
        except FileNotFoundError:
            return

    def objects(self, *, without: str | None = None, patience: float = PATIENCE_SECONDS) -> dict[str, Stamp]:
        """Returns every object below, by the rest of its key; none of a folder, at any depth, named `without`.

        Raises:
            StorageError: they cannot be listed.
        """
        from pyarrow.fs import FileSelector, FileType

        # pyarrow finds no folder in Google's store that has no object of its own
        by_folder = without is not None and self.bucket.startswith("s3:")
        below = FileSelector(self._path, recursive=not by_folder, allow_not_found=True)
        found: dict[str, Stamp] = {}
        for one in self._tried(lambda: self._files.get_file_info(below), patience):
            name = one.path[len(self._path) + 1 :]
            if without in name.split("/") or not is_inside(name):
                continue
            if one.type == FileType.File:
                found[name] = one.size, one.mtime_ns / 1e9
            elif by_folder:
                inside = (self / name).objects(without=without, patience=patience)
                found |= {f"{name}/{rest}": stamp for rest, stamp in inside.items()}
        return found

    def stamp(self) -> Stamp | None:
        """Returns size and time of the object, None where there is none. Raises StorageError."""
        from pyarrow.fs import FileType

        one = self._tried(lambda: self._files.get_file_info(self._path))
        return (one.size, one.mtime_ns / 1e9) if one.type == FileType.File else None

    def remove(self) -> None:
        """Deletes every object below. Raises StorageError."""
        side_by_side(lambda name: (self / name).unlink(), self.objects())

    def check(self) -> None:
        """Returns if objects can be listed, written, read and deleted here; nothing is left.

        A store that refuses may close the connection before it has read what was sent, and its answer is lost then. The
        first request sends nothing.

        Raises:
            StorageError: one of it cannot be done.
        """
        probe = self / f".check.{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"", patience=0.0)
            probe.write_bytes(PROBE, patience=0.0)
            is_same = probe.read_bytes() == PROBE
            self.objects(without="checkpoints")
            probe.unlink()
        except FileNotFoundError:
            is_same = False
        except StorageError as error:
            raise StorageError(str(error).replace(str(probe), str(self))) from error
        if not is_same:
            raise StorageError(f"{self}: what was written there is not found again")

    @property
    def _path(self) -> str:
        return f"{self.bucket.partition('://')[2].rpartition('@')[2]}/{self.key}"

    @cached_property
    def _files(self) -> Any:
        try:
            return file_system(self.bucket, self.options)
        except (ValueError, OSError) as error:  # pyarrow's own are of these
            raise StorageError(f"{self}: {_reason(error)}") from error

    def __reduce__(self) -> tuple[type[Address], tuple[str, str, str]]:
        return Address, (self.bucket, self.key, self.options)

    def _tried(self, action: Callable[[], Value], patience: float = PATIENCE_SECONDS) -> Value:
        """Returns what the action does, tried again while it fails with what passes."""
        until = time.monotonic() + patience
        while True:
            try:
                return action()
            except (FileNotFoundError, StorageError):
                raise
            except OSError as error:
                if time.monotonic() >= until or not any(word in str(error) for word in TRANSIENT):
                    raise StorageError(f"{self}: {_reason(error)}") from error
            time.sleep(PAUSE_SECONDS)


def is_inside(name: str) -> bool:
    """Whether a file of this name lies in the folder that it is written to: who fills a bucket chooses the names."""
    return not {"", ".", ".."} & set(name.split("/")) and "\\" not in name


def place(text: str) -> Path | Address:
    """Returns the folder or the address that is written so. Raises StorageError where it is an address of no store."""
    return Address.parse(text) if "://" in text else Path(text)


def write_whole(place: Path | Address, content: bytes) -> None:
    """Makes `content` a file or an object, whole or not at all. Raises OSError."""
    if isinstance(place, Address):
        place.write_bytes(content)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
    try:
        new.write_bytes(content)
        new.replace(place)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def remove(place: Path | Address) -> None:
    """Deletes a folder, or every object below an address. Raises StorageError."""
    if isinstance(place, Address):
        place.remove()
    else:
        shutil.rmtree(place, ignore_errors=True)


def read_if_there(place: Path | Address) -> bytes | None:
    """Returns a file or an object; None where there is none. Raises OSError."""
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None


def write_in_order(folder: Address, files: Mapping[str, bytes], last: str) -> None:
    """Writes objects side by side, and the `last` one when the others are there. Raises StorageError."""
    side_by_side(lambda name: (folder / name).write_bytes(files[name]), [name for name in files if name != last])
    (folder / last).write_bytes(files[last])


def copy_in_order(source: Address, target: Address, names: Iterable[str], last: str) -> None:
    """Copies objects within the store side by side, and the `last` one when the others are there."""
    side_by_side(lambda name: (source / name).copy_to(target / name), [name for name in names if name != last])
    (source / last).copy_to(target / last)


def side_by_side(action: Callable[[str], None], names: Iterable[str]) -> None:
    """Does something for each name. Raises the first error, when all have ended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(action, name) for name in names]:
            done.result()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return next((said for words, said in REASONS.items() if any(word in text for word in words)), text)


@lru_cache
def file_system(bucket: str, options: str) -> Any:
    """Returns pyarrow's view of a bucket, made once a process by what the environment says of the store then."""
    from pyarrow.fs import FileSystem

    if bucket.startswith("s3:"):  # with this a small object takes one request instead of three
        options = "&".join(filter(None, ("allow_delayed_open=true", options)))
    return FileSystem.from_uri(quote(bucket, safe=":/@.") + "/" + (f"?{options}" if options else ""))[0]
