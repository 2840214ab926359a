"""CIFAR-10 and CIFAR-100 from the files that their author published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split


class Cifar(Dataset):
    """60,000 photographs of 32x32 pixels. Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009."""

    resolution: Annotated[int, Field(ge=8, le=256)] = 32

    def info(self, root: Path) -> DatasetInfo:
        raise NotImplementedError

    def verify(self, root: Path) -> None:
        raise NotImplementedError

    def load(self, root: Path, split: Split) -> Images:
        raise NotImplementedError


class Cifar10(Cifar):
    """Ten classes."""

    name: Literal["cifar10"] = "cifar10"


class Cifar100(Cifar):
    """A hundred classes in twenty superclasses."""

    name: Literal["cifar100"] = "cifar100"
