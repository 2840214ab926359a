"""Knowledge distillation from a trained network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from cifar_tune.errors import CheckpointError, DatasetError
from cifar_tune.schema import Fraction, OpenFraction, Positive
from cifar_tune.storage.copies import absolute, copy_here
from cifar_tune.training.lazy import torch
from cifar_tune.training.losses.cross_entropy import cross_entropy
from cifar_tune.training.losses.loss import LoadModel, Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cifar_tune.training.batch import Batch
    from cifar_tune.training.datasets.dataset import DatasetInfo


class Distillation(Loss):
    """(1 - w) cross-entropy + w T^2 KL(teacher || student), both softened by the temperature T; w = `teacher_share`.

    The teacher sees the student's augmented images. Source: Hinton et al. 2015 (arXiv:1503.02531, sec. 2); by default
    with the share and temperature of Tian et al. 2020 (arXiv:1910.10699, sec. 4).
    """

    name: Literal["distillation"] = "distillation"
    teacher: str
    """Folder of a checkpoint, such as results/x/checkpoints/<trial_id>/best, or the s3:// or gs:// address of one;
    trained on the same classes."""
    temperature: Positive = 4.0
    teacher_share: Fraction = 0.9
    label_smoothing: OpenFraction = 0.0
    """Of the cross-entropy."""

    @field_validator("teacher")
    @classmethod
    def _absolute(cls, folder: str) -> str:
        """Trials of a sweep run in folders of their own."""
        return absolute(folder)

    def check(self, info: DatasetInfo) -> None:
        manifest = copy_here(self.teacher) / "manifest.json"
        try:
            taught = json.loads(manifest.read_bytes())["dataset"]
        except FileNotFoundError:
            raise CheckpointError(
                f"loss distillation: {self.teacher} is not a checkpoint: it has no {manifest.name}"
            ) from None
        except (ValueError, TypeError, KeyError):
            raise CheckpointError(f"loss distillation: {self.teacher}/{manifest.name} is corrupt") from None
        for quality in ("class_names", "mean", "std"):
            theirs, ours = tuple(taught.get(quality, ())), getattr(info, quality)
            if theirs != ours:
                raise DatasetError(
                    f"loss distillation: the teacher {self.teacher} was trained on other {quality} "
                    f"({_few(theirs)}) than the data set's ({_few(ours)})"
                )

    def build(self, info: DatasetInfo, device: torch.device | str, load_model: LoadModel) -> LossFunction:
        self.check(info)
        teacher = load_model(self.teacher, info, device).requires_grad_(False)

        def loss(model: nn.Module, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                taught = teacher(images).float()
            logits = model(images).float()
            hard = cross_entropy(logits, batch, self.label_smoothing)
            soft = distilled(logits, taught, self.temperature)
            return (1 - self.teacher_share) * hard + self.teacher_share * soft, logits

        return loss


def distilled(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Returns the mean of T^2 KL(teacher || student) in nats, of (N, K) logits; T^2 keeps gradients of one size."""
    student, teacher = ((scores / temperature).log_softmax(1) for scores in (logits, taught))
    return temperature**2 * torch.nn.functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def _few(values: tuple[object, ...]) -> str:
    return ", ".join(map(str, values[:3])) + (", ..." if len(values) > 3 else "")
