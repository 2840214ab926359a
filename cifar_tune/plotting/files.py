"""Files of a report, written whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.errors import ResultsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_of(figure: Figure, kind: str = "png") -> bytes:
    """A figure as the content of an image file."""
    image = BytesIO()
    figure.savefig(image, format=kind)
    return image.getvalue()


def write_file(path: Path, content: bytes) -> None:
    """Puts a file in its place; whoever reads it has the old one or the new one.

    Raises:
        ResultsError: the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(f"{path}: could not be written: {error.strerror}") from error
