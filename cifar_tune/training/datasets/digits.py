"""scikit-learn's handwritten digits: real images that come inside a package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split

TRAIN_IMAGES = 1437


class Digits(Dataset):
    """1,797 handwritten digits of 8x8 grey pixels; the last 360 are the test split, as scikit-learn's examples hold them out.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    name: Literal["digits"] = "digits"
    resolution: Annotated[int, Field(ge=8, le=64)] = 8

    def info(self, root: Path) -> DatasetInfo:
        raise NotImplementedError

    def verify(self, root: Path) -> None:
        """Nothing can be missing: the images are part of scikit-learn."""

    def load(self, root: Path, split: Split) -> Images:
        raise NotImplementedError
