"""scikit-learn's handwritten digits: real images that come inside a package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split
from cifar_tune.training.datasets.resize import resized

TRAIN_IMAGES = 1437


class Digits(Dataset):
    """1,797 handwritten digits of 8x8 grey pixels, of which the last 360 are the test split.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    name: Literal["digits"] = "digits"
    resolution: Annotated[int, Field(ge=8, le=64)] = 8

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            class_names=tuple("0123456789"),
            channels=1,
            resolution=self.resolution,
            # Measured over the 1,437 training images at 8 px.
            mean=(0.3054,),
            std=(0.3753,),
            train_images=TRAIN_IMAGES,
        )

    def verify(self, root: Path, split: Split = "train") -> None:
        """Nothing can be missing: the images are part of scikit-learn."""

    def load(self, root: Path, split: Split) -> Images:
        from sklearn.datasets import load_digits

        # scikit-learn keeps all images in one file; this slice is where its test images end.
        chosen = slice(None, TRAIN_IMAGES) if split == "train" else slice(TRAIN_IMAGES, None)
        digits = load_digits()
        pixels = np.rint(digits.images[chosen, None] * (255 / 16)).astype(np.uint8)
        return Images(resized(pixels, self.resolution), digits.target[chosen].astype(np.int64))
