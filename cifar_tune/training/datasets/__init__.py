"""The data sets that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.datasets.cifar import Cifar10, Cifar100
from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.datasets.folder import Folder
from cifar_tune.training.datasets.food101 import Food101
from cifar_tune.training.datasets.huggingface import HuggingFace

AnyDataset = Annotated[Digits | Cifar10 | Cifar100 | Food101 | Folder | HuggingFace, Field(discriminator="name")]

__all__ = ["AnyDataset", "Dataset", "DatasetInfo", "Images", "Split"]
