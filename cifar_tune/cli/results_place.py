"""A results folder for a command, wherever it is: of an address in an object store it gets a copy on this machine."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from cifar_tune.errors import ResultsError, StorageError
from cifar_tune.storage.address import Address
from cifar_tune.storage.folders import mirrored
from cifar_tune.storage.replica import PAUSE_SECONDS, Replica, replica_folder

PAUSE_SHARE = 20
"""The next exchange begins no sooner than 20 times what the last one took: 5 % of the wall time."""


def folder_of(place: Path | Address) -> Path:
    """Returns the folder that a place is, or that stands for it here."""
    return place.expanduser() if isinstance(place, Path) else replica_folder(place)


@contextmanager
def open_for_reading(place: Path | Address, *, following: bool = False) -> Iterator[Path]:
    """Yields a folder to read, and to write what follows from it; that goes to the address, too, if it may.

    following: what is new at the address comes as long as the block lasts.

    Raises:
        StorageError: the address cannot be read.
    """
    if isinstance(place, Path):
        yield place
        return
    with mirrored(place) as replica:
        alone = replica.fetch()
        with background_sync(replica.fetch) if following else nullcontext():
            yield replica.folder
        if alone:
            _send_if_allowed(replica)


@contextmanager
def open_for_writing(place: Path | Address) -> Iterator[Path]:
    """Yields a folder to write a sweep or its retrainings in; an address gets all of it, a few seconds later.

    Raises:
        StorageError: the address cannot be read and written, or at the end not be reached.
    """
    if isinstance(place, Path):
        yield folder_of(place)
        return
    place.check()
    with mirrored(place) as replica:
        if not replica.fetch():
            yield replica.folder
            return
        try:
            with background_sync(replica.send):
                yield replica.folder
        finally:
            _send_all(replica)


@contextmanager
def background_sync(exchange: Callable[[], object]) -> Iterator[None]:
    """Sends or fetches beside the block, again and again. What fails is tried again, and told by who needs it."""
    over = threading.Event()

    def work() -> None:
        pause = PAUSE_SECONDS
        while not over.wait(pause):
            began = time.monotonic()
            try:
                exchange()
            except (StorageError, ResultsError):
                continue
            pause = max(PAUSE_SECONDS, PAUSE_SHARE * (time.monotonic() - began))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send_if_allowed(replica: Replica) -> None:
    try:
        replica.send()
    except StorageError as error:
        print(f"{error}; what was written is in {replica.folder}", file=sys.stderr)


def _send_all(replica: Replica) -> None:
    try:
        replica.send()
    except StorageError as error:
        raise StorageError(
            f"{error}\nnot everything is there: {replica.folder} holds the rest, and --resume on this machine sends it"
        ) from error
