"""The images of a network's own trial, wherever they are now."""

from __future__ import annotations

from pathlib import Path

from cifar_tune.errors import DatasetError
from cifar_tune.inspection.predictor import NetworkPredictor
from cifar_tune.training.data import TrainingData, load_data


def trial_data(network: NetworkPredictor, root: Path) -> TrainingData:
    """Returns the images that the network was trained on, and those that validated it.

    Raises:
        DatasetError: a file is missing or corrupt, or the data set has other classes.
    """
    dataset = network.trial.dataset
    check_classes(network, root)
    dataset.verify(root)
    dataset.build(root)
    return load_data(dataset, root, network.device)


def check_classes(network: NetworkPredictor, root: Path) -> None:
    """Returns if the data set has the classes that the network was trained on. Opens no image.

    Raises:
        DatasetError: it has others, or a file of it is missing.
    """
    trained, there = network.info.class_names, network.trial.dataset.info(root).class_names
    if trained == there:
        return
    name, both = network.trial.dataset.name, zip(trained, there, strict=False)
    place = next((place for place, (one, other) in enumerate(both) if one != other), None)
    told = "" if place is None else f"; class {place} was {trained[place]}, and is {there[place]}"
    raise DatasetError(
        f"the network was trained on {len(trained)} classes; data set {name} below {root} has {len(there)}{told}"
    )
