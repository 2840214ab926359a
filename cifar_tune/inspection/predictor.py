"""A trained network that names what is in pictures, prepared as its own trial prepared them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cifar_tune.errors import CheckpointError, DatasetError
from cifar_tune.inspection.export_format import CARRIES_CODE, PREFERRED
from cifar_tune.inspection.exported import is_exported, open_exported
from cifar_tune.inspection.programs import LOADERS
from cifar_tune.inspection.trained import read_trained
from cifar_tune.training.checkpoint import TrainedModel
from cifar_tune.training.data import ImageSource, open_source
from cifar_tune.training.datasets import DatasetInfo, Images
from cifar_tune.training.datasets.image_decoding import EncodedImage, decode_image, refuse_unfit, squared
from cifar_tune.training.device import find_device
from cifar_tune.training.evaluate import log_probabilities, mean_log_probabilities
from cifar_tune.training.loop import EVALUATION_BATCHES
from cifar_tune.training.places import network_folder
from cifar_tune.training.precision import cuda_backend_flags, resolve_precision
from cifar_tune.training.preparation import Normalization

Picture: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A file, an encoded file's content, an opened image, or pixels: (H, W, 3) RGB or (H, W) grey, uint8."""


class ClassProbability(NamedTuple):
    """One of the classes that a picture may show. probability: in [0, 1]; over all classes they sum to 1."""

    name: str
    probability: float


class Predictor(ABC):
    """Names what is in pictures, prepared as the trial's own validation images were.

    The short side of a picture is resized to the trial's resolution and the long side cropped at both ends alike; a
    network of one channel sees grey.
    """

    info: DatasetInfo

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto", *, allow_code: bool = False) -> Predictor:
        """Returns the predictor of a trial, such as results/x/t0004, of one of its checkpoints, or an exported model.

        path: of a trial the best checkpoint is taken; of an exported folder the weights, else a program; a file in it,
        such as model.onnx, is itself. allow_code: read model.pt2 too, which runs whatever code its author put there.

        Raises:
            CheckpointError: it is none, is corrupt, was written in another format, or needs what is not installed; or
                it is a program that can carry code, and `allow_code` is not set.
            DeviceError: there is no such device.
        """
        path = network_folder(Path(path)) or Path(path)
        if is_exported(path):
            exported = open_exported(path)
            name = path.name if path.is_file() else next(one for one in PREFERRED if one in exported.checksums)
            if name in CARRIES_CODE and not allow_code:
                raise CheckpointError(
                    f"{exported.folder / name} can run code of whoever made it, so it is not read. If you trust them, "
                    "say --allow-code (in Python: allow_code=True). Safer: export the model as safetensors or ONNX"
                )
            if name in LOADERS:
                logits = LOADERS[name](exported.verified(name), device)
                return ProgramPredictor(exported.info, logits, mirror=exported.trial.evaluation.mirror)
        return NetworkPredictor(read_trained(path), device)

    @abstractmethod
    def probabilities(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """Returns (N, K) float32 probabilities of K classes on the CPU. pixels: (N, C, H, W) at the resolution."""

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
        found = []
        for one in self.predict_each(pictures, top_k, batch_size):
            if isinstance(one, DatasetError):
                raise one
            found.append(one)
        return found

    def predict_each(
        self, pictures: Iterable[Picture], top_k: int = 5, batch_size: int = 256
    ) -> Iterator[list[ClassProbability] | DatasetError]:
        """Yields for each picture, in order, what `predict` returns or raises; opens `batch_size` of them at a time."""
        numbered = enumerate(pictures)
        while some := list(islice(numbered, batch_size)):
            opened = [self._opened(picture, place) for place, picture in some]
            readable = [one for one in opened if not isinstance(one, DatasetError)]
            named = iter(self._named(np.stack(readable), top_k) if readable else ())
            yield from (one if isinstance(one, DatasetError) else next(named) for one in opened)

    def pixels(self, picture: Picture, place: int = 0) -> NDArray[np.uint8]:
        """Returns (C, H, W) of one picture as the network takes it, before normalisation.

        place: among several; names a picture that has no name of its own.

        Raises:
            DatasetError: the picture cannot be read.
        """
        name, resolution = f"picture {place + 1}", self.info.resolution
        match picture:
            case str() | Path():
                pixels = decode_image(str(picture), resolution)
            case bytes():
                pixels = decode_image(EncodedImage(name, picture), resolution)
            case Image.Image():
                refuse_unfit(picture, name)
                pixels = squared(picture.copy(), resolution)
            case _:
                pixels = squared(_image(np.asarray(picture), name), resolution)
        if self.info.channels == 1:
            pixels = np.asarray(Image.fromarray(pixels.transpose(1, 2, 0)).convert("L"))[None]
        return pixels

    def _opened(self, picture: Picture, place: int) -> NDArray[np.uint8] | DatasetError:
        try:
            return self.pixels(picture, place)
        except DatasetError as error:
            return error

    def _named(self, pixels: NDArray[np.uint8], top_k: int) -> Iterator[list[ClassProbability]]:
        best, classes = self.probabilities(pixels).topk(min(top_k, self.info.classes))
        for row, values in zip(classes.tolist(), best.tolist(), strict=True):
            yield [ClassProbability(self.info.class_names[one], value) for one, value in zip(row, values, strict=True)]


class NetworkPredictor(Predictor):
    """By a network of torch, in the precision and with the mirroring of the trial's own validation."""

    def __init__(self, trained: TrainedModel, device: str | torch.device = "auto") -> None:
        """Raises DeviceError where there is no such device."""
        self.trial = trained.trial
        self.info = trained.info
        self.device = find_device(device)
        self.model = trained.model(self.device)
        self.normalize = Normalization(self.info, self.device, channels_last=self.trial.channels_last)
        self.arithmetic = resolve_precision(self.trial.precision, self.trial.model, self.info, self.device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str | torch.device = "auto",
        *,
        allow_code: bool = False,  # noqa: ARG003 (as in the base class; weights carry no code)
    ) -> NetworkPredictor:
        """Returns as `Predictor.load` one that has a network to look into; a program has none, a CheckpointError."""
        path = Path(path)
        return cls(read_trained(network_folder(path) or path), device)

    def probabilities(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        source = open_source(Images(pixels, np.zeros(len(pixels), dtype=np.int64)), self.device)
        return self.log_probabilities(source).exp().cpu()

    def log_probabilities(self, source: ImageSource) -> torch.Tensor:
        """Returns (N, K) float32 log-probabilities of a split's images in order, as the trial's validation does."""
        with cuda_backend_flags(self.arithmetic, self.trial.deterministic, self.device):
            return log_probabilities(
                self.model,
                source,
                self.normalize,
                batch_size=EVALUATION_BATCHES * self.trial.micro_batch_size,
                mirror=self.trial.evaluation.mirror,
                arithmetic=self.arithmetic,
            )


class ProgramPredictor(Predictor):
    """By a program of ONNX or torch.export, in float32, with the mirroring of the trial's own validation."""

    def __init__(self, info: DatasetInfo, logits: Callable[[torch.Tensor], torch.Tensor], *, mirror: bool) -> None:
        """logits: takes (N, C, H, W) uint8 and gives (N, K) float32, both on the CPU."""
        self.info = info
        self._logits = logits
        self._mirror = mirror

    def probabilities(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        images = torch.from_numpy(pixels)
        views = (images, images.flip(3)) if self._mirror else (images,)
        logits = [self._logits(view) for view in views]
        if (classes := logits[0].shape[1]) != self.info.classes:
            raise CheckpointError(
                f"the program tells {classes} classes apart, and its folder names {self.info.classes}"
            )
        return mean_log_probabilities([one.log_softmax(1) for one in logits]).exp()


def _image(pixels: NDArray[np.generic], name: str) -> Image.Image:
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or colour) or pixels.size == 0:
        raise DatasetError(
            f"{name}: an array must be (H, W, 3) RGB or (H, W) grey of uint8, got {pixels.shape} of {pixels.dtype}"
        )
    return Image.fromarray(pixels)
