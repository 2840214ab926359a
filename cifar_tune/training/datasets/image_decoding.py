"""An encoded photograph of any size -> a square of pixels."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.names import readable

DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Pillow's modes of more than 8 bits a channel: it would clip them to white."""
DEEP_STORAGE = re.compile(r"\w+;16[BLN]")
"""How its readers call 16 bits a channel of colour, of which it would keep the upper 8: black, where 12 are used."""

ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
"""Where further frames are the picture's later moments; in MPO and TIFF they are other sizes or pages."""

MOST_PIXELS = 89_478_485
"""Decoded at most: 256 MiB in RGB. Source: Pillow's limit against decompression bombs, PIL.Image.MAX_IMAGE_PIXELS."""


@dataclass(frozen=True)
class EncodedImage:
    """A JPEG, PNG or the like that is not a file: its name in messages, and its bytes."""

    name: str
    content: bytes


def decode_image(source: str | EncodedImage, resolution: int) -> np.ndarray:
    """Returns the centre of an image as (3, H, W) uint8 RGB, H = W = `resolution`.

    The short side is resized to `resolution` (bilinear, antialiased) and the long side cropped at both ends alike.
    Images are turned upright as their EXIF orientation says; transparency is dropped.

    source: the path of a file, or its contents.

    Raises:
        DatasetError: It cannot be read as an image of 8 bits a channel, is animated or too large; names it.
    """
    name = readable(source) if isinstance(source, str) else source.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `refuse_unfit` refuses it
            opened = Image.open(source if isinstance(source, str) else io.BytesIO(source.content))
        with opened as image:
            refuse_unfit(image, name)
            return squared(image, resolution)
    except DatasetError:
        raise
    # Pillow's readers raise many kinds of error on broken files: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise DatasetError(
            f"{name} cannot be read as an image: {error}; replace it, or take it out of the set"
        ) from error


def refuse_unfit(image: Image.Image, name: str) -> None:
    """Returns if an opened image is one picture of 8 bits a channel that fits in memory; decodes none of it.

    Raises:
        DatasetError: It is not; says under this name what it is.
    """
    stored = DEEP_STORAGE.search(str(getattr(image, "tile", "")))
    if image.mode in DEEP_MODES or stored:
        kind = stored[0] if stored and image.mode not in DEEP_MODES else image.mode
        raise DatasetError(f"{name} has more than 8 bits a channel ({kind}); convert it to 8 bits")
    if image.width * image.height > MOST_PIXELS:
        raise DatasetError(
            f"{name} has {image.width} x {image.height} pixels; at most {MOST_PIXELS:,} are decoded: make it smaller"
        )
    if image.format in ANIMATED_FORMATS and getattr(image, "is_animated", False):
        frames = getattr(image, "n_frames", 0)
        raise DatasetError(f"{name} is animated ({frames} frames); save the one that is meant as a picture of its own")


def squared(image: Image.Image, resolution: int) -> np.ndarray:
    """Returns the centre of an opened image as (3, H, W) uint8 RGB, H = W = `resolution`; see `decode_image`."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    size = (resolution, resolution)
    image = image.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(image).transpose(2, 0, 1)
