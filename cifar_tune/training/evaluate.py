"""What a model makes of images that it does not train on. N images, K classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cifar_tune.training.data import ImageSource
from cifar_tune.training.precision import FLOAT32, Precision
from cifar_tune.training.preparation import Normalization
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup


@dataclass(frozen=True)
class Score:
    """The score of a number of images.

    loss: mean cross-entropy in nats. accuracy: share of images whose likeliest class is theirs, in [0, 1].
    """

    loss: float
    accuracy: float
    images: int


def evaluate(
    model: nn.Module,
    source: ImageSource,
    normalize: Normalization,
    *,
    batch_size: int = 256,
    mirror: bool = False,
    arithmetic: Precision = FLOAT32,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> Score:
    """Returns the score over all images of the source, unaugmented. Leaves the model in evaluation mode.

    ranks: score a part each; all get the score of the whole.
    """
    rows = ranks.part(len(source))
    found = log_probabilities(
        model, source, normalize, batch_size=batch_size, mirror=mirror, arithmetic=arithmetic, rows=rows
    )
    labels = source.labels[rows]
    loss = ranks.total(-found.gather(1, labels[:, None]).sum())
    right = ranks.total((found.argmax(1) == labels).sum())
    return Score(float(loss / len(source)), int(right) / len(source), len(source))


@torch.inference_mode()
def log_probabilities(
    model: nn.Module,
    source: ImageSource,
    normalize: Normalization,
    *,
    batch_size: int = 256,
    mirror: bool = False,
    arithmetic: Precision = FLOAT32,
    rows: slice = slice(None),
) -> Tensor:
    """Returns (N, K) float32 log-probabilities of the images in order; with `mirror`, of the mean of both views.

    rows: which images; by default all.
    """
    model.eval()
    order = torch.arange(len(source), device=source.device)[rows]
    found = []
    for pixels in source.batches(order, batch_size):
        images = normalize(pixels)
        views = (images, images.flip(3)) if mirror else (images,)
        found.append(mean_log_probabilities([_forward(model, view, arithmetic, source.device) for view in views]))
    return torch.cat(found)


def _forward(model: nn.Module, images: Tensor, arithmetic: Precision, device: torch.device) -> Tensor:
    with arithmetic.autocast_context(device):
        # Not through __call__: a compiled model would be compiled again, and once more for the smaller last batch.
        logits: Tensor = model.forward(images)
    return logits.float().log_softmax(1)


def mean_log_probabilities(views: list[Tensor]) -> Tensor:
    """Returns (N, K) logarithms of the mean probabilities over the views' (N, K) log-probabilities."""
    if len(views) == 1:
        return views[0]
    return torch.stack(views).logsumexp(0) - math.log(len(views))
