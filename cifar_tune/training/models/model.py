"""What every model's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from cifar_tune.schema import Strict

if TYPE_CHECKING:
    from torch import nn


class Model(Strict):
    """A network by name and its options; `build` makes it."""

    def smallest_resolution(self) -> int:
        """Least height and width in pixels that the network can take."""
        return 1

    @abstractmethod
    def build(self, channels: int, classes: int) -> nn.Module:
        """Returns the network, initialised from torch's global generator: (N, channels, H, W) -> (N, classes) logits."""
