"""Files of a report, written whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.errors import ResultsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure in the format that the path ends in.

    Raises:
        ResultsError: the place cannot be written to.
    """
    image = BytesIO()
    figure.savefig(image, format=path.suffix.removeprefix(".").lower() or "png")
    write_file(path, image.getvalue())


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
