"""What every model's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field

from cifar_tune.errors import DatasetError
from cifar_tune.schema import Strict
from cifar_tune.training.datasets.dataset import DatasetInfo

if TYPE_CHECKING:
    from torch import nn


SMALLEST_MAP = 5
"""Least height and width before the three strided stages of every network here: 5, 3, 2, 1, so that each halves it."""

Channels = Annotated[int, Field(ge=1, le=2**20)]
"""Of the first stage. Beyond a million the sizes of tensors could no longer be counted in 64 bits."""


class Model(Strict):
    """A network by name and its options; `build` makes it."""

    name: str

    cpu_bfloat16_resolution: ClassVar[int] = 16
    """Least height and width at which bfloat16 is faster than float32 on a CPU with matrix units: below, casting the
    weights costs more than multiplying by them (benchmarks/cpu_precision.py)."""

    avx512_bfloat16_resolution: ClassVar[int | None] = 32
    """The same for an AMD CPU with AVX512_BF16; None where bfloat16 was not seen to be faster.

    On an EPYC with it, ResNet-18 trained 1.5 to 1.9 times as fast at 32 px, TGN and ternary ResNet-18 1.6 times, and
    MiniNet no faster. Other resolutions were not measured. Accuracy in bfloat16 differed by -0.002 to +0.010 on digits
    (n = 3, benchmarks/cpu_precision_accuracy.py)."""

    may_differ: ClassVar[tuple[str, ...]]
    """What the names of its tensors begin with that depend on images and classes: stem and head."""

    def own_name(self, name: str) -> str:
        """Returns what this network calls a tensor of others' weights; itself where it has no other name for it."""
        return name

    def may_be_fresh(self, name: str) -> bool:
        """Returns whether initial weights may leave out this tensor."""
        return name.startswith(self.may_differ)

    output_layers: ClassVar[tuple[str, ...]] = ("fc.",)
    """What the names of the parameters begin with whose products are logits. Muon leaves these to its other rule."""

    def at_resolution(self, resolution: int) -> Self:
        """Returns the model for images of so many pixels: what follows from their size is filled in."""
        return self

    @abstractmethod
    def smallest_resolution(self) -> int:
        """Least height and width in pixels that the network can take."""

    def check(self, info: DatasetInfo) -> None:
        """Raises DatasetError where the network cannot learn from the data set. Imports no torch."""
        smallest = self.smallest_resolution()
        if info.resolution < smallest:
            raise DatasetError(
                f"model {self.name} with these options takes images of at least {smallest} x {smallest} pixels; "
                f"the data set's resolution is {info.resolution}"
            )

    @abstractmethod
    def build(self, info: DatasetInfo) -> nn.Module:
        """Returns the network, initialised from torch's global generator, on torch's default device.

        Takes (N, C, H, W) normalised images; gives (N, K) logits, or log-probabilities, which serve as logits.
        """
