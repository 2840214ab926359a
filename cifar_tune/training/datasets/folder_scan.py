"""Which files of a folder of class folders are its pictures, and which are left out. Opens none of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.names import readable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""As torchvision's ImageFolder takes them."""

SERVICE_FOLDERS = ("@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "lost+found")
"""Made by Synology, macOS's archives, QNAP, Windows and ext4, in lower case; hidden ones begin with a dot."""

OTHER_PICTURES = (".heic", ".heif", ".avif", ".jxl")
"""Pictures by their suffix, beside those that the installed Pillow reads."""


@dataclass
class Scan:
    """What a walk has come by. visited: the folders, by device and inode, as they were first reached.

    service: folders left out, by name. suffixes: files left out that are pictures by their suffix.
    """

    top: Path
    visited: dict[tuple[int, int], str] = field(default_factory=dict)
    service: Counter[str] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)

    def images(self, folder: str) -> list[str]:
        """Returns the paths of all pictures below a folder, sorted; each real folder counts once.

        Raises:
            DatasetError: A link leads to a folder that is counted already, or to one around the set.
        """
        return sorted(self._images(folder))

    def remarks(self) -> list[str]:
        """Returns what was left out, in sentences."""
        told = []
        if self.suffixes:
            told.append(
                f"{self.suffixes.total()} files were left out: {_counts(self.suffixes)}. Convert them to JPEG or PNG, "
                f"or delete them"
            )
        if self.service:
            told.append(f"{self.service.total()} hidden or service folders were left out: {_counts(self.service)}")
        return told

    def enter(self, folder: str) -> None:
        """Counts a folder. Raises DatasetError as `images`."""
        status = os.stat(folder)
        real, top = os.path.realpath(folder), os.path.realpath(self.top)
        first = self.visited.setdefault((status.st_dev, status.st_ino), folder)
        if real != top and top.startswith(os.path.join(real, "")):
            raise _counted_twice(folder, f"{readable(real)}, which holds the whole set")
        if first != folder:
            link, other = (folder, first) if real != folder else (first, folder)
            raise _counted_twice(link, readable(other))

    def _images(self, folder: str) -> Iterator[str]:
        self.enter(folder)
        for entry in entries(folder):
            if entry.is_dir():
                if is_service(entry.name):
                    self.service[entry.name] += 1
                else:
                    yield from self._images(entry.path)
            elif is_image(entry.name):
                yield entry.path
            elif not is_service(entry.name):
                self.count(entry.name)

    def count(self, name: str) -> None:
        """Counts a file that is left out, if it is a picture by its suffix."""
        suffix = os.path.splitext(name)[1].lower()
        if suffix in OTHER_PICTURES or (suffix and suffix in _pillow_suffixes()):
            self.suffixes[suffix] += 1


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Returns what is in a folder, by name. Raises DatasetError where it cannot be read."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(f"{readable(folder)} cannot be read: {error.strerror}") from error


def is_service(name: str) -> bool:
    """Returns whether a file or folder is hidden, or made by a system for itself."""
    return name.startswith(".") or name.lower() in SERVICE_FOLDERS


def is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_service(name)


def no_image(folder: str | Path, left_out: Sequence[str] = ()) -> DatasetError:
    """Returns the error of a folder without a picture."""
    told = f"{readable(folder)} has no picture in it (*{', *'.join(IMAGE_SUFFIXES)})"
    return DatasetError("; ".join([told, *left_out]))


def _counted_twice(link: str, target: str) -> DatasetError:
    return DatasetError(
        f"{readable(link)} is a link to {target}, so that pictures would be there twice. Remove the link"
    )


@cache
def _pillow_suffixes() -> frozenset[str]:
    from PIL import Image

    formats = Image.registered_extensions()
    return frozenset(suffix for suffix, name in formats.items() if name in Image.OPEN)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {readable(name)}" for name, count in counter.most_common())
