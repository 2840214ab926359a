"""`TrialConfig`: everything that determines one training run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cifar_tune.schema import Count, FieldError, ListOf, NonNegative, OpenFraction, Positive, Seed, Strict
from cifar_tune.storage.copies import absolute
from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.losses import AnyLoss, CrossEntropy
from cifar_tune.training.models import AnyModel, Model
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.precision_rule import PrecisionName
from cifar_tune.training.schedules import AnySchedule, OneCycle


class Sam(Strict):
    """Sharpness-aware minimisation around the optimizer.

    Source: Foret et al. 2021 (arXiv:2010.01412); adaptive: Kwon et al. 2021 (arXiv:2102.11600).
    """

    rho: NonNegative = 0.05
    adaptive: bool = False


class Ema(Strict):
    """Exponential moving average of weights and BatchNorm statistics.

    After step t the decay is min(decay, (1 + t) / (10 + t)).
    """

    decay: OpenFraction = 0.999


class Clip(Strict):
    """Gradient clipping, by total norm or by value."""

    norm: Positive | None = None
    value: Positive | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Clip:
        if (self.norm is None) == (self.value is None):
            raise ValueError("clip takes exactly one of `norm` and `value`")
        return self


class EarlyStopping(Strict):
    """Ends a trial when validation accuracy has not risen for `patience` epochs."""

    patience: Count
    min_delta: NonNegative = 0.0


class Evaluation(Strict):
    """How validation and test images are scored."""

    weights: Literal["auto", "ema", "raw"] = "auto"
    """auto: the moving average where `ema` is on, else the raw weights."""
    mirror: bool = False
    """Averages the probabilities of the image and its mirror image."""
    every: Count = 1
    """Validates every so many epochs, and after the last."""
    latency: bool = False
    """Measures after each validation how long one image takes."""


class TrialConfig(Strict):
    """One complete training run.

    The same values and seed give the same curve, bit for bit, with the same versions of cifar_tune and torch on the
    same model of CPU, with the same instruction set and number of threads. With CUDA they do so on the same model of
    GPU, where `deterministic` is on. Elsewhere results differ by rounding, which training amplifies: expect curves that
    differ as those of two seeds do. Tables and checkpoints record threads, CPU model and instruction set.
    """

    dataset: AnyDataset
    model: AnyModel
    augmentations: ListOf[AnyAugmentation] = ()
    initial_weights: str | None = None
    """A file of weights to begin from (safetensors, or a state dict of torch.save), or the folder of a checkpoint or
    exported model, or an s3:// or gs:// address of either; stem and head may differ, and are then as without it."""
    loss: AnyLoss = CrossEntropy()
    optimizer: AnyOptimizer
    schedule: AnySchedule = OneCycle()
    sam: Sam | None = None
    ema: Ema | None = None
    clip: Clip | None = None
    early_stopping: EarlyStopping | None = None
    evaluation: Evaluation = Evaluation()
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Effective: images per optimizer update, on every device."""
    accumulation: Count = 1
    """Micro-batches per update; divides `batch_size`."""
    ghost_batch_size: Annotated[int, Field(ge=2)] | None = None
    """BatchNorm normalises groups of so many images, in whatever parts and processes a batch is computed; divides each
    part. null: a group is a micro-batch of a process, whose size then changes results. Source: arXiv:1705.08741."""
    sync_batch_norm: bool = False
    """Where several processes train the trial: BatchNorm normalises by the micro-batch of all, else by each one's."""
    epochs: Count
    recompute: bool = False
    """Computes the activations inside the network's blocks a second time instead of keeping them for the backward pass:
    the same gradients in less memory, at about a third more arithmetic. Source: Chen et al. 2016 (arXiv:1604.06174)."""
    precision: PrecisionName = "auto"
    channels_last: bool = True
    compile: Literal["auto"] | bool = "auto"
    deterministic: bool = False
    """On a GPU: only kernels whose results repeat bit for bit."""
    seed: Seed = 0
    """Draws the initial weights, the order of the images and the augmentations."""

    @field_validator("initial_weights")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """Trials of a sweep run in folders of their own."""
        return None if path is None else absolute(path)

    @field_validator("model")
    @classmethod
    def _at_resolution(cls, model: Model, others: ValidationInfo) -> Model:
        """What the model leaves to the resolution is filled in here, so that every record of the trial says it."""
        dataset = others.data.get("dataset")
        return model if dataset is None else model.at_resolution(dataset.resolution)

    @model_validator(mode="before")
    @classmethod
    def _default_loss_name(cls, data: Any) -> Any:
        """`loss: {label_smoothing: 0.1}` means cross-entropy."""
        if isinstance(data, dict) and isinstance(data.get("loss"), dict) and "name" not in data["loss"]:
            return {**data, "loss": {"name": "cross_entropy", **data["loss"]}}
        return data

    @model_validator(mode="after")
    def _accumulation_divides(self) -> TrialConfig:
        if self.batch_size % self.accumulation:
            raise FieldError(
                "accumulation", f"accumulation {self.accumulation} does not divide batch_size {self.batch_size}"
            )
        return self

    @model_validator(mode="after")
    def _ghosts_divide(self) -> TrialConfig:
        if self.ghost_batch_size is None:
            return self
        if self.sync_batch_norm:
            raise FieldError(
                "sync_batch_norm", "ghost_batch_size and sync_batch_norm both say what BatchNorm normalises; give one"
            )
        if self.micro_batch_size % self.ghost_batch_size:
            raise FieldError(
                "ghost_batch_size",
                f"ghost_batch_size {self.ghost_batch_size} does not divide micro-batches of {self.micro_batch_size} "
                "images (batch_size / accumulation)",
            )
        return self

    @model_validator(mode="after")
    def _stopping_can_be_judged(self) -> TrialConfig:
        if self.early_stopping is not None and self.dataset.validation_fraction == 0:
            raise FieldError(
                "early_stopping", "early_stopping needs validation images; dataset.validation_fraction is 0"
            )
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> TrialConfig:
        if self.schedule.warmup_epochs >= self.epochs:
            raise FieldError(
                "schedule.warmup_epochs",
                f"schedule.warmup_epochs {self.schedule.warmup_epochs:g} leaves nothing of {self.epochs} epochs: "
                "the lr would never be reached; allowed is less than `epochs`",
            )
        return self

    @property
    def micro_batch_size(self) -> int:
        """Images per forward pass, of all processes together."""
        return self.batch_size // self.accumulation
