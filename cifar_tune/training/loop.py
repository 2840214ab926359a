"""The training loop: one pass over the images, one record of what it gave."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from cifar_tune.training.backward import BackwardPass
from cifar_tune.training.batch import Batch
from cifar_tune.training.batch_norm import running_statistics
from cifar_tune.training.check import check_trial
from cifar_tune.training.checkpoint import load_model
from cifar_tune.training.compilation import compile_if_repaid
from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.device import peak_memory_bytes
from cifar_tune.training.evaluate import Score, evaluate
from cifar_tune.training.latency import latency_seconds
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.optimizers.setting import apply_setting
from cifar_tune.training.precision import cuda_backend_flags
from cifar_tune.training.preparation import Normalization, augmented
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup
from cifar_tune.training.randomness import epoch_seeds, global_draws
from cifar_tune.training.state import TrainingState
from cifar_tune.training.steps import sam_step, sgd_step
from cifar_tune.training.stopping import patience_is_over
from cifar_tune.training.trial import TrialConfig

EVALUATION_BATCHES = 4
"""Images scored at once, in micro-batches: ResNet-18 keeps 18 feature maps an image with a backward pass, 4 without."""


class Diverged(Exception):  # noqa: N818 -- a result of the trial, not an error
    """The loss is no longer finite. `step` counts optimizer steps from the first of the trial, which is 1."""

    def __init__(self, epoch: int, step: int, lr: float, loss: str = "training loss") -> None:
        self.epoch, self.step, self.lr = epoch, step, lr
        super().__init__(f"{loss} is not finite in epoch {epoch}, at step {step} with lr {lr:.3g}")


def train_epochs(
    state: TrainingState, data: TrainingData, trial: TrialConfig, ranks: ProcessGroup = SINGLE_PROCESS
) -> Iterator[EpochMetrics]:
    """Yields one record an epoch, from the epoch after `state.epoch` to the last or to the end of patience.

    The state is whole whenever a record is yielded: it can be saved, scored, or dropped.

    ranks: train the trial together, each calling this; they draw alike, so that the images of a step, augmented, do not
    depend on their number. All end each epoch with equal states and records.

    Raises:
        ConfigError: The trial and the data set do not suit each other.
        Diverged: The loss is no longer finite; the state is then of no use.
    """
    check_trial(trial, data.info, begun=state.epoch > 0)
    normalize = Normalization(data.info, state.device, channels_last=trial.channels_last)
    loss = trial.loss.build(data.info, state.device, load_model)
    backward = BackwardPass(state, loss, trial.accumulation, ranks, len(_own_rows(trial, ranks)) / trial.batch_size)
    compiled = compile_if_repaid(state, trial, 0, ranks)
    while state.epoch < trial.epochs and not patience_is_over(state.history, trial.early_stopping):
        metrics = _run_epoch(state, data, trial, backward, normalize)
        compiled = compiled or compile_if_repaid(state, trial, metrics.epoch_seconds, ranks)
        yield metrics


def _run_epoch(
    state: TrainingState, data: TrainingData, trial: TrialConfig, backward: BackwardPass, normalize: Normalization
) -> EpochMetrics:
    epoch, first_step = state.epoch + 1, state.step
    ranks = backward.ranks
    data_seed, network_seed = epoch_seeds(trial.seed, epoch, ranks.rank)
    generator = torch.Generator(state.device).manual_seed(data_seed)
    started = time.perf_counter()
    with (
        cuda_backend_flags(state.arithmetic, trial.deterministic, state.device),
        global_draws(network_seed, state.device),
    ):
        outcomes = _train(state, data, trial, backward, normalize, generator)
        sums = torch.stack([torch.stack(part) for part in zip(*outcomes, strict=True)])
        sums[0] *= backward.share
        losses, correct = ranks.total(sums).tolist()
        ranks.average(_moving_statistics(state))
        trained = time.perf_counter()
        _refuse_non_finite(losses, epoch, first_step, trial)
        score = score_images(state, data.validation, trial, normalize, ranks) if _is_due(epoch, trial, data) else None
        finished = time.perf_counter()
        timed = score is not None and trial.evaluation.latency
        latency = (
            latency_seconds(state.scored_model(trial), data.validation, normalize, state.arithmetic) if timed else None
        )
    images, lr = len(losses) * trial.batch_size, state.optimizer.param_groups[0]["lr"]
    if score is not None and not math.isfinite(score.loss):
        raise Diverged(epoch, state.step, lr, "validation loss")
    state.epoch = epoch
    metrics = EpochMetrics(
        epoch=epoch,
        train_loss=math.fsum(losses) / len(losses),
        train_accuracy=math.fsum(correct) / images,
        validation_loss=None if score is None else score.loss,
        validation_accuracy=None if score is None else score.accuracy,
        lr=lr,
        epoch_seconds=finished - started,
        images_per_second=images / (trained - started),
        peak_memory_bytes=peak_memory_bytes(state.device),
        latency_seconds=latency,
    )
    state.history.append(ranks.broadcast(metrics))
    return state.history[-1]


def _train(
    state: TrainingState,
    data: TrainingData,
    trial: TrialConfig,
    backward: BackwardPass,
    normalize: Normalization,
    generator: torch.Generator,
) -> list[tuple[Tensor, Tensor]]:
    """Takes every step of one epoch; returns each one's loss and number of right answers, still on the device."""
    images, size = data.train, trial.batch_size
    rows = _own_rows(trial, backward.ranks).to(state.device)
    steps = len(images) // size
    order = torch.randperm(len(images), generator=generator, device=state.device)[: steps * size]
    weights = torch.ones(size, 1, device=state.device)
    take_step = sgd_step if trial.sam is None else partial(sam_step, sam=trial.sam)
    outcomes = []
    state.model.train()
    for positions, pixels in zip(torch.split(order, size), images.batches(order, size), strict=True):
        apply_setting(state.optimizer, trial.schedule.at(state.step, steps * trial.epochs, steps))
        drawn = Batch(pixels, images.labels[positions, None], weights, positions, state.epoch + 1)
        batch = augmented(drawn, trial.augmentations, generator)
        if backward.ranks.size > 1:
            batch = batch.part(rows)
        outcome = take_step(state, backward, normalize(batch.images), batch, trial.clip)
        outcomes.append((outcome.loss, outcome.correct))
        state.step += 1
        if state.average is not None:
            state.average.update(state.step)
    return outcomes


def _refuse_non_finite(losses: list[float], epoch: int, first_step: int, trial: TrialConfig) -> None:
    for step, loss in enumerate(losses, first_step):
        if not math.isfinite(loss):
            steps = len(losses)
            factor = trial.schedule.at(step, steps * trial.epochs, steps).lr_factor
            raise Diverged(epoch, step + 1, trial.optimizer.lr * factor)


def _is_due(epoch: int, trial: TrialConfig, data: TrainingData) -> bool:
    return len(data.validation) > 0 and (epoch % trial.evaluation.every == 0 or epoch == trial.epochs)


def _own_rows(trial: TrialConfig, ranks: ProcessGroup) -> Tensor:
    """Returns which images of a batch are this process's: its part of each micro-batch."""
    return torch.arange(trial.batch_size).view(trial.accumulation, -1)[:, ranks.part(trial.micro_batch_size)].flatten()


def _moving_statistics(state: TrainingState) -> list[Tensor]:
    """Returns BatchNorm's running statistics and their average, in which processes differ while an epoch lasts.

    Both follow the batches linearly, so that to average them once is to have averaged them after every step.
    """
    models = (state.model,) if state.average is None else (state.model, state.average.model)
    return [tensor for model in models for tensor in running_statistics(model)]


def score_images(
    state: TrainingState,
    source: ImageSource,
    trial: TrialConfig,
    normalize: Normalization,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> Score:
    """Returns what the trial's model makes of images that it does not train on."""
    return evaluate(
        state.scored_model(trial),
        source,
        normalize,
        batch_size=EVALUATION_BATCHES * trial.micro_batch_size,
        mirror=trial.evaluation.mirror,
        arithmetic=state.arithmetic,
        ranks=ranks,
    )
