"""The first convolution of a residual network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.schema import Strict


class Stem(Strict):
    """The first convolution. The defaults are for 32 px images."""

    kernel: Annotated[int, Field(ge=1, le=11)] = 3
    stride: Annotated[int, Field(ge=1, le=4)] = 1
    padding: Annotated[int, Field(ge=0, le=5)] = 1
    maxpool: bool = False
    """Halves the map once more, by the maximum over 3x3 pixels."""

    def smallest_resolution(self, smallest_map: int) -> int:
        """Returns the least height and width in pixels of which the stem leaves at least `smallest_map`."""
        before_pool = 2 * smallest_map - 1 if self.maxpool else smallest_map
        return max(1, (before_pool - 1) * self.stride + self.kernel - 2 * self.padding)


IMAGENET_STEM = Stem(kernel=7, stride=2, padding=3, maxpool=True)
"""Source: He et al. 2016, table 1."""
