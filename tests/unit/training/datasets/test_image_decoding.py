"""Single images: size, crop, colour, orientation, and those that cannot be read."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.image_decoding import EncodedImage, decode_image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> EncodedImage:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return EncodedImage("an image", buffer.getvalue())


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_square_of_the_right_size_is_left_as_it_is() -> None:
    pixels = noise(32, 32)
    assert np.array_equal(decode_image(encoded(Image.fromarray(pixels)), 32), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(32, 48), (48, 32)])
def test_the_long_side_is_cropped_at_both_ends_alike(size: tuple[int, int]) -> None:
    pixels = noise(*size)
    middle = pixels[8:40] if size[0] == 48 else pixels[:, 8:40]
    assert np.array_equal(decode_image(encoded(Image.fromarray(pixels)), 32), middle.transpose(2, 0, 1))


def test_a_photograph_is_resized_and_cropped_as_by_torchvision() -> None:
    from torchvision.transforms import v2

    photograph = Image.fromarray(noise(300, 400)).resize((400, 300)).resize((40, 30)).resize((400, 300))
    expected = np.asarray(v2.Compose([v2.Resize(64), v2.CenterCrop(64)])(photograph)).transpose(2, 0, 1)
    found = decode_image(encoded(photograph), 64)
    # torchvision rounds the resized long side and the crop to whole pixels: here 85 for 85.3.
    assert np.abs(found.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(("mode", "kind"), [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("CMYK", "JPEG")])
def test_every_mode_of_8_bits_becomes_three_colours(mode: str, kind: str) -> None:
    image = Image.fromarray(np.full((20, 20, 3), 255, np.uint8)).convert(mode)
    assert decode_image(encoded(image, kind), 10).min() > 250
    assert decode_image(encoded(image, kind), 10).shape == (3, 10, 10)


def test_a_palette_with_transparency_is_read_in_its_colours() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert decode_image(encoded(image, transparency=bytes([0, 255])), 8)[:, 0, 0].tolist() == [10, 20, 30]


def test_images_are_turned_upright() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # The top of the stored image is its right side.
    upright = decode_image(encoded(Image.fromarray(pixels), exif=exif), 8)
    assert (upright[:, :, 7] == 255).all()
    assert (upright[:, :, :7] == 0).all()


def png_of_16_bits(pixels: np.ndarray, colour_type: int) -> EncodedImage:
    """A PNG by its specification; Pillow writes none of 16 bits in colour. pixels: (H, W, C) uint16."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = pixels.shape[:2]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return EncodedImage(
        "an image", b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("channels", "colour_type", "kind"), [(1, 0, "I;16"), (2, 4, "LA;16B"), (3, 2, "RGB;16B"), (4, 6, "RGBA;16B")]
)
def test_16_bits_of_any_colour_are_refused(channels: int, colour_type: int, kind: str) -> None:
    image = png_of_16_bits(np.full((8, 8, channels), 4000, np.uint16), colour_type)
    with pytest.raises(
        DatasetError, match=rf"an image has more than 8 bits a channel \({kind}\); convert it to 8 bits"
    ):
        decode_image(image, 8)


def test_16_bits_a_channel_are_refused_rather_than_clipped() -> None:
    with pytest.raises(DatasetError, match=r"an image has more than 8 bits a channel \(I;16\); convert it to 8 bits"):
        decode_image(encoded(Image.fromarray(np.full((8, 8), 60000, np.uint16))), 8)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0" + bytes(100)])
def test_what_is_no_image_is_named(content: bytes) -> None:
    with pytest.raises(DatasetError, match=r"bad.jpg cannot be read as an image: .*; replace it, or take"):
        decode_image(EncodedImage("bad.jpg", content), 8)


def test_a_truncated_file_is_named(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    path = save_image(tmp_path / "cut.jpg", size=(200, 200))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DatasetError, match=r"cut.jpg cannot be read as an image: .*truncated"):
        decode_image(str(path), 8)


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone.jpg cannot be read as an image: .*No such file"):
        decode_image(str(tmp_path / "gone.jpg"), 8)
