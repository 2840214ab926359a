"""The operations that AutoAugment and its successors choose from, each with a magnitude, on uint8 images.

Every image has an operation of its own. The geometric ones are one sampling, those that map each value to another are
one look-up in a table of the image's own, the rest a blend with a duller image: no image and no operation is looped
over where that would make the host wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from cifar_tune.training.augmentations.colours import luminance
from cifar_tune.training.augmentations.warp import Maps, rotations, warped
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Operation = Literal[
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "contrast",
    "posterize",
    "solarize",
    "auto_contrast",
    "equalize",
    "invert",
    "color",
    "sharpness",
]
"""What each magnitude is.

Shears: pixels a pixel. Translations: pixels. Rotate: degrees counter-clockwise. Brightness, contrast, color, sharpness:
the factor less 1. Posterize: bits kept. Solarize: the share of 255 from which on values are inverted. Others: nothing.
"""

INDEX: dict[str, int] = {name: place for place, name in enumerate(get_args(Operation))}


def operated(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Returns (N, C, H, W) uint8 images, each changed by its operation; float images in [0, 1] come back as floats.

    operations: (N,) int64, places in INDEX. magnitudes: (N,) float32.
    """
    if images.is_floating_point():
        return operated((images * 255).round_().to(torch.uint8), operations, magnitudes) / 255
    for first, last, change in STAGES:
        here = (operations >= INDEX[first]) & (operations <= INDEX[last])
        images = _changed(here, change, images, operations, magnitudes)
    return images


def _changed(
    here: Tensor,
    change: Callable[[Tensor, Tensor, Tensor], Tensor],
    images: Tensor,
    operations: Tensor,
    magnitudes: Tensor,
) -> Tensor:
    """Returns the images, changed where (N,) bool `here` says so.

    On a CPU only those are computed. On an accelerator all are: to count them first would make the host wait.
    """
    if images.device.type != "cpu":
        return torch.where(here[:, None, None, None], change(images, operations, magnitudes), images)
    rows = here.nonzero()[:, 0]
    if not len(rows):
        return images
    return images.index_copy(0, rows, change(images.index_select(0, rows), operations[rows], magnitudes[rows]))


def _moved(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Shears about the image's upper left corner, shifts by whole pixels, turns about the centre; black comes in."""
    height, width = images.shape[2:]
    shear_x, shear_y, right, down, degrees = (
        magnitudes * (operations == INDEX[name])
        for name in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
    )
    turn = rotations(degrees)
    maps = Maps(
        turn.xx,
        turn.xy + shear_x,
        shear_x * height / 2 - right.trunc(),
        turn.yx + shear_y,
        turn.yy,
        shear_y * width / 2 - down.trunc(),
    )
    return warped(images, maps, "nearest")


def _mapped(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Replaces each value by that which its image's and channel's table has for it."""
    values = images.flatten(2).long()
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, values, counts.new_ones(()).expand_as(values))
    table = _table(counts, operations[:, None, None], magnitudes[:, None, None])
    return table.clamp(0, 255).to(torch.uint8).gather(2, values).view_as(images)


def _table(counts: Tensor, operation: Tensor, magnitude: Tensor) -> Tensor:
    """Returns (N, C, 256) float32: what becomes of every value, from (N, C, 256) `counts` of them."""
    level = torch.arange(256, device=counts.device, dtype=torch.float32)
    step = torch.exp2(8 - magnitude)
    tables = {
        "brightness": level * (1 + magnitude),
        "contrast": torch.lerp(_mean_luminance(counts, level), level, 1 + magnitude),
        "posterize": (level / step).floor() * step,
        "solarize": torch.where(level >= 255 * magnitude, 255 - level, level),
        "auto_contrast": _stretched(counts, level),
        "equalize": _equalized(counts, level),
        "invert": 255 - level,
    }
    result = level.expand(counts.shape)
    for name, table in tables.items():
        result = torch.where(operation == INDEX[name], table, result)
    return result


def _mean_luminance(counts: Tensor, level: Tensor) -> Tensor:
    """Returns (N, 1, 1)."""
    means = (counts * level).sum(2, keepdim=True) / counts.sum(2, keepdim=True)
    return luminance(means)


def _stretched(counts: Tensor, level: Tensor) -> Tensor:
    """Returns tables that bring each channel's least value to 0 and its greatest to 255; one value alone stays."""
    present = counts > 0
    low = torch.where(present, level, 255.0).amin(2, keepdim=True)
    high = torch.where(present, level, 0.0).amax(2, keepdim=True)
    return torch.where(high > low, (level - low) * 255 / (high - low).clamp(min=1), level)


def _equalized(counts: Tensor, level: Tensor) -> Tensor:
    """Returns tables that spread each channel's values evenly, in whole numbers as Pillow's ImageOps.equalize does."""
    total = counts.sum(2, keepdim=True)
    below = counts.cumsum(2) - counts
    last = counts.gather(2, (counts.cumsum(2) == total).int().argmax(2, keepdim=True))
    step = (total - last) // 255
    spread = (below + step // 2) // step.clamp(min=1)
    return torch.where(step > 0, spread.float(), level)


def _blended(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Moves the images away from (magnitude > 0) or towards (< 0) their grey or their smooth version."""
    pixels = images.float()
    by_color = (operations == INDEX["color"])[:, None, None, None]
    duller = torch.where(by_color, _grey(pixels), _smooth(pixels))
    return torch.lerp(duller, pixels, 1 + magnitudes[:, None, None, None]).clamp_(0, 255).to(torch.uint8)


def _grey(pixels: Tensor) -> Tensor:
    return pixels if pixels.shape[1] == 1 else luminance(pixels).floor_()


def _smooth(pixels: Tensor) -> Tensor:
    """Returns the mean of each pixel's neighbourhood, itself weighing 5 of 13; the border stays."""
    across = pixels[..., :-2] + pixels[..., 1:-1] + pixels[..., 2:]
    around = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
    inner = pixels[..., 1:-1, 1:-1]
    result = pixels.clone()
    result[..., 1:-1, 1:-1] = ((around + 4 * inner) / 13).round_()
    return result


STAGES = (("shear_x", "rotate", _moved), ("brightness", "invert", _mapped), ("color", "sharpness", _blended))
"""The first and the last operation that each function computes."""
