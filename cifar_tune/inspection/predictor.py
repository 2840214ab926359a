"""A trained network that names what is in pictures, prepared as its own trial prepared them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cifar_tune.errors import DatasetError
from cifar_tune.training.checkpoint import Checkpoint, read_checkpoint
from cifar_tune.training.data import open_source
from cifar_tune.training.datasets import Images
from cifar_tune.training.datasets.image_decoding import EncodedImage, decode_image, squared
from cifar_tune.training.device import find_device
from cifar_tune.training.evaluate import log_probabilities
from cifar_tune.training.precision import arithmetic_of
from cifar_tune.training.preparation import Normalization

Picture: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A file, an encoded file's content, an opened image, or pixels: (H, W, 3) RGB or (H, W) grey, uint8."""


class ClassProbability(NamedTuple):
    """One of the classes that a picture may show. probability: in [0, 1]; over all classes they sum to 1."""

    name: str
    probability: float


class Predictor:
    """The network of a checkpoint, its class names and its preparation of images.

    The short side of a picture is resized to the trial's resolution and the long side cropped at both ends alike; a
    network of one channel sees grey. Normalisation, precision and mirroring are those of the trial's own validation.
    """

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "auto") -> None:
        """Raises DeviceError where there is no such device."""
        self.trial = checkpoint.trial
        self.info = checkpoint.info
        self.device = find_device(device)
        self._model = checkpoint.model(self.device)
        self._normalize = Normalization(self.info, self.device, channels_last=self.trial.channels_last)
        self._arithmetic = arithmetic_of(self.trial.precision, self.trial.model, self.info, self.device)

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "auto") -> Predictor:
        """Returns the predictor of a checkpoint's folder, such as results/x/checkpoints/t0004/best.

        Raises:
            CheckpointError: it is none, is corrupt, or was written in another format.
            DeviceError: there is no such device.
        """
        return cls(read_checkpoint(Path(folder)), device)

    def predict(self, picture: Picture, top_k: int = 5) -> list[ClassProbability]:
        """Returns the `top_k` likeliest classes of one picture, likeliest first; all of them where there are fewer.

        Raises:
            DatasetError: the picture cannot be read.
        """
        return self.predict_batch([picture], top_k)[0]

    def predict_batch(
        self, pictures: Sequence[Picture], top_k: int = 5, batch_size: int = 256
    ) -> list[list[ClassProbability]]:
        """Returns what `predict` does for each picture, in order; `batch_size` of them go through the network at once.

        Raises:
            DatasetError: a picture cannot be read; names it.
        """
        found: list[list[ClassProbability]] = []
        for start in range(0, len(pictures), batch_size):
            some = pictures[start : start + batch_size]
            pixels = np.stack([self._pixels(picture, start + place) for place, picture in enumerate(some)])
            best, classes = self.probabilities(pixels).topk(min(top_k, self.info.classes))
            found += [
                [ClassProbability(self.info.class_names[one], value) for one, value in zip(row, values, strict=True)]
                for row, values in zip(classes.tolist(), best.tolist(), strict=True)
            ]
        return found

    def probabilities(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """Returns (N, K) float32 probabilities of K classes on the CPU. pixels: (N, C, H, W) at the resolution."""
        source = open_source(Images(pixels, np.zeros(len(pixels), dtype=np.int64)), self.device)
        found = log_probabilities(
            self._model, source, self._normalize, mirror=self.trial.evaluation.mirror, arithmetic=self._arithmetic
        )
        return found.exp().cpu()

    def _pixels(self, picture: Picture, place: int) -> NDArray[np.uint8]:
        """Returns (C, H, W) of one picture. place: among those of the call; names one that has no name of its own."""
        name, resolution = f"picture {place + 1}", self.info.resolution
        match picture:
            case str() | Path():
                pixels = decode_image(str(picture), resolution)
            case bytes():
                pixels = decode_image(EncodedImage(name, picture), resolution)
            case Image.Image():
                pixels = squared(picture.copy(), resolution)
            case _:
                pixels = squared(_image(np.asarray(picture), name), resolution)
        if self.info.channels == 1:
            pixels = np.asarray(Image.fromarray(pixels.transpose(1, 2, 0)).convert("L"))[None]
        return pixels


def _image(pixels: NDArray[np.generic], name: str) -> Image.Image:
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or colour):
        raise DatasetError(
            f"{name}: an array must be (H, W, 3) RGB or (H, W) grey of uint8, got {pixels.shape} of {pixels.dtype}"
        )
    return Image.fromarray(pixels)
