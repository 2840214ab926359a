"""The pictures that a network is looked into with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_tune.errors import DatasetError, InspectionError
from cifar_tune.inspection.predictor import NetworkPredictor, Picture
from cifar_tune.inspection.trial_data import trial_data

OF_VALIDATION = 4
"""Where none is given."""
MOST_GIVEN = 16
"""Each is a figure of its own, and a row in the others."""


@dataclass(frozen=True)
class Pictures:
    """pixels: (N, C, H, W) uint8 at the network's resolution. labels: what each is, or its file's name."""

    pixels: NDArray[np.uint8]
    labels: tuple[str, ...]


def given_pictures(
    network: NetworkPredictor, given: Iterable[tuple[str, Picture]]
) -> tuple[Pictures, list[DatasetError]]:
    """Returns the first MOST_GIVEN that can be read, of pictures by name, and what is wrong with others before those.

    Raises:
        DatasetError: none can be read.
    """
    found: list[tuple[str, NDArray[np.uint8]]] = []
    refused = []
    for place, (name, picture) in enumerate(given):
        try:
            found.append((name, network.pixels(picture, place)))
        except DatasetError as error:
            refused.append(error)
        if len(found) == MOST_GIVEN:
            break
    if not found:
        raise DatasetError("\n".join(map(str, refused)))
    names, pixels = zip(*found, strict=True)
    return Pictures(np.stack(pixels), names), refused


def validation_pictures(network: NetworkPredictor, root: Path) -> Pictures:
    """Returns the first validation image of each of a few classes, far apart.

    Raises:
        DatasetError: the data set is not there, is corrupt, or has other classes.
        InspectionError: the network was trained without a validation split.
    """
    source = trial_data(network, root).validation
    labels = source.labels.cpu().numpy()
    if not len(labels):
        raise InspectionError("the network was trained on all training images: name images to look at")
    present, first = np.unique(labels, return_index=True)
    chosen = np.unique(np.linspace(0, len(present) - 1, min(OF_VALIDATION, len(present))).round().astype(int))
    return Pictures(source.pixels_at(first[chosen]), tuple(network.info.class_names[present[one]] for one in chosen))
