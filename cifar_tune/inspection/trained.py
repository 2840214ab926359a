"""The one way from a folder to a trained network: a checkpoint's, or one that `export` has written."""

from __future__ import annotations

from pathlib import Path

from cifar_tune.inspection.exported import is_exported, read_exported
from cifar_tune.training.checkpoint import TrainedModel, read_checkpoint


def read_trained(path: Path) -> TrainedModel:
    """Returns the network in a checkpoint's or an exported model's folder, or in one file of weights of the latter.

    Every checksum is verified, and nothing is unpickled but tensors and plain values.

    Raises:
        CheckpointError: there is none, it is corrupt or of another format, or holds no weights but a program.
    """
    return read_exported(path) if is_exported(path) else read_checkpoint(path)
