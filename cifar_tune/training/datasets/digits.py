"""scikit-learn's handwritten digits: real images that come inside a package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cifar_tune.errors import DatasetError
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
        _digits_file()

    def load(self, root: Path, split: Split) -> Images:
        # One row an image: 64 grey values of 0 to 16, then the digit. Both splits are in this one file.
        rows = np.loadtxt(_digits_file(), delimiter=",", dtype=np.uint8)
        rows = rows[:TRAIN_IMAGES] if split == "train" else rows[TRAIN_IMAGES:]
        pixels = np.rint(rows[:, :64].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
        return Images(resized(pixels, self.resolution), rows[:, 64].astype(np.int64))


def _digits_file() -> Path:
    """Returns the file that `sklearn.datasets.load_digits` reads; importing scikit-learn would take a second or more.

    Raises:
        DatasetError: scikit-learn is not installed, or keeps its digits elsewhere.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DatasetError("digits come inside scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise DatasetError(f"data set digits: {path} is not there; install scikit-learn 1.5 or later anew")
    return path
