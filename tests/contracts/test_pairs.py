"""Members of different unions with one another: tiny trainings through the whole core, none of it replaced."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from cifar_tune.errors import ConfigError
from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.checkpoint import serialize
from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.datasets.cifar import Cifar10, Cifar100
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.losses import AnyLoss
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.models import AnyModel
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
BATCH = 8


def names(union: Any) -> list[str]:
    return [member.model_fields["name"].default for member in get_args(get_args(union)[0])]


INFOS = {
    "digits": Digits().info(Path()),
    "cifar10": Cifar10().info(Path()),
    "cifar100": Cifar100().info(Path()),
    "cifar100-coarse": Cifar100(labels="coarse").info(Path()),
    "food101": DatasetInfo(tuple(map(str, range(101))), 3, 64, (0.5,) * 3, (0.25,) * 3, train_images=75_750),
}
SMALL = DatasetInfo(
    tuple("abcdef"), 3, 16, (0.5,) * 3, (0.25,) * 3, 1000, coarse_names=("p", "q"), coarse_of_fine=(0, 1, 1, 0, 1, 1)
)
GREY = DatasetInfo(tuple("abcdef"), 1, 16, (0.5,), (0.25,), 1000)

MODELS: dict[str, dict[str, Any]] = {
    **{name: {"name": name, "width": 4} for name in names(AnyModel)},
    "mininet-published": {"name": "mininet", "width": 4, "variant": "published"},
    "ternary_resnet18-ttq": {"name": "ternary_resnet18", "width": 4, "method": "ttq"},
}
PLAIN_MODEL = {"name": "resnet18", "width": 2}
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in names(AnyAugmentation)},
    "color_jitter": {"name": "color_jitter", "brightness": 0.3, "contrast": 0.3, "saturation": 0.2, "hue": 0.1},
    "affine": {"name": "affine", "degrees": 8.0, "translate": 0.15, "shear": 10.0},
    "cutout": {"name": "cutout", "size": 8},
    "crop-reflect": {"name": "crop", "mode": "reflect"},
    "flip-alternating": {"name": "flip", "alternating": True},
}
RATES = {"sgd": 0.05, "adam": 0.003, "adamw": 0.003, "rmsprop": 0.001, "lion": 0.001, "muon": 0.02}
OPTIMIZERS = {name: {"name": name, "lr": RATES[name], "weight_decay": 1e-3} for name in names(AnyOptimizer)}
SCHEDULES = names(AnySchedule)
SAM: dict[str, Any] = {"plain": None, "sam": {"rho": 0.05}, "adaptive": {"rho": 0.5, "adaptive": True}}

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
every_augmentation = pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
every_sam = pytest.mark.parametrize("sam", SAM.values(), ids=SAM)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trial_of(**parts: Any) -> TrialConfig:
    defaults = {
        "dataset": {"name": "cifar10"},
        "model": PLAIN_MODEL,
        "optimizer": OPTIMIZERS["sgd"],
        "schedule": {"name": "constant"},
        "precision": "float32",
        "batch_size": BATCH,
        "epochs": 1,
    }
    return TrialConfig.model_validate({**defaults, **parts})


def data_of(info: DatasetInfo, *, alike: bool = False) -> TrainingData:
    """One batch of noise to train on and another to be validated on; `alike`: of one image, many times."""
    generator = torch.Generator().manual_seed(0)

    def source() -> ImageSource:
        shape = (1 if alike else BATCH, info.channels, info.resolution, info.resolution)
        pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
        labels = torch.randint(info.classes, (BATCH,), generator=generator)
        return ImageSource(pixels.expand(BATCH, *shape[1:]).contiguous(), labels, None, CPU)

    return TrainingData(source(), source(), info)


def trained(trial: TrialConfig, info: DatasetInfo = SMALL, **options: Any) -> tuple[TrainingState, list[EpochMetrics]]:
    """Returns the state after the whole trial, an epoch being one step, and what was recorded."""
    state = create_state(trial, info, CPU)
    history = list(train_epochs(state, data_of(info, **options), trial))
    assert state.step == state.epoch == len(history) == trial.epochs
    for metrics in history:
        assert math.isfinite(metrics.train_loss)
        assert metrics.validation_loss is not None
        assert math.isfinite(metrics.validation_loss)
        assert 0 <= metrics.train_accuracy <= 1
    return state, history


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def refuses(trial: TrialConfig, info: DatasetInfo) -> str:
    with pytest.raises(ConfigError) as caught:
        next(train_epochs(create_state(trial_of(), info, CPU), data_of(info), trial))
    return str(caught.value)


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)
@every_model
def test_every_model_trains_on_every_data_sets_shape_or_says_why_not(model: dict[str, Any], info: DatasetInfo) -> None:
    trial = trial_of(model=model)
    if model["name"] == "tgn" and info.coarse_of_fine is None:
        assert "model tgn needs a data set with superclasses" in refuses(trial, info)
        return
    before = weights(create_state(trial, info, CPU).model)
    state, _ = trained(trial, info)
    reached = {name for name, value in state.model.named_parameters() if value.grad is not None}
    moved = {name for name, value in weights(state.model).items() if not torch.equal(value, before[name])}
    assert moved == reached
    assert model.get("variant") == "published" or reached == before.keys()


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [17, 24, 48])
@every_model
def test_every_model_trains_on_resolutions_that_no_stage_divides_evenly(model: dict[str, Any], resolution: int) -> None:
    info = INFOS["cifar100"]
    _, history = trained(trial_of(model=model), DatasetInfo(**{**vars(info), "resolution": resolution}))
    assert math.isfinite(history[-1].train_loss)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a checkpoint that knows the classes of SMALL."""
    trial = trial_of()
    folder = CheckpointFolder(tmp_path_factory.mktemp("teacher"))
    folder.save(serialize(create_state(trial, SMALL, CPU), trial, SMALL))
    return str(folder.last)


@pytest.mark.parametrize("loss", names(AnyLoss))
@every_model
def test_every_model_trains_by_every_loss(model: dict[str, Any], loss: str, teacher: str) -> None:
    options = {"teacher": teacher} if loss == "distillation" else {}
    trial = trial_of(model=model, loss={"name": loss, "label_smoothing": 0.1, **options}, epochs=2)
    _, history = trained(trial)
    assert history[0].train_loss != history[1].train_loss


LABELS: dict[str, dict[str, Any]] = {
    "hard": {},
    "smoothed": {"loss": {"label_smoothing": 0.1}},
    "hierarchical": {"loss": {"name": "hierarchical", "label_smoothing": 0.1}},
}


@pytest.mark.parametrize(
    "mixing", [None, *(pytest.param(name, marks=pytest.mark.slow) for name in ("mixup", "cutmix"))]
)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@every_augmentation
def test_every_augmentation_trains_with_every_kind_of_label(
    augmentation: dict[str, Any], labels: dict[str, Any], mixing: str | None
) -> None:
    before = [] if mixing is None else [{"name": mixing}]
    _, history = trained(trial_of(augmentations=[*before, augmentation], **labels))
    assert math.isfinite(history[-1].train_loss)


@every_augmentation
def test_every_augmentation_trains_on_grey_images_and_before_a_mixing(augmentation: dict[str, Any]) -> None:
    _, history = trained(trial_of(augmentations=[augmentation, {"name": "mixup_or_cutmix"}]), GREY)
    assert math.isfinite(history[-1].train_loss)


@every_sam
@every_optimizer
def test_parts_of_a_batch_train_as_the_whole_does(optimizer: dict[str, Any], sam: dict[str, Any] | None) -> None:
    """Of one image many times every part has the statistics of the whole, so that BatchNorm cannot tell."""
    whole, parts = (trial_of(optimizer=optimizer, sam=sam, accumulation=count, epochs=3) for count in (1, 4))
    before = weights(create_state(whole, SMALL, CPU).model)
    state, expected = trained(whole, alike=True)
    _, found = trained(parts, alike=True)
    assert [metrics.train_loss for metrics in found] == pytest.approx(
        [metrics.train_loss for metrics in expected], rel=2e-3
    )
    assert not all(torch.equal(value, before[name]) for name, value in weights(state.model).items())


@pytest.mark.parametrize("adaptive", [False, True], ids=["sam", "adaptive"])
@every_optimizer
def test_sam_that_climbs_nowhere_is_its_optimizer(optimizer: dict[str, Any], adaptive: bool) -> None:
    sam = {"rho": 0.0, "adaptive": adaptive}
    augmentations = [{"name": "mixup"}]
    alone, within = (trial_of(optimizer=optimizer, sam=s, augmentations=augmentations, epochs=3) for s in (None, sam))
    (state, _), (other, _) = trained(alone), trained(within)
    for name, value in state.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], value), name


@every_optimizer
def test_sam_that_climbs_trains_otherwise(optimizer: dict[str, Any]) -> None:
    losses = {
        kind: [metrics.train_loss for metrics in trained(trial_of(optimizer=optimizer, sam=sam, epochs=3))[1]]
        for kind, sam in SAM.items()
    }
    assert losses["sam"][0] == losses["plain"][0] == losses["adaptive"][0]
    assert len({tuple(curve) for curve in losses.values()}) == 3


@pytest.mark.parametrize("schedule", SCHEDULES)
@every_optimizer
def test_every_optimizer_follows_every_schedule(optimizer: dict[str, Any], schedule: str) -> None:
    trial = trial_of(optimizer=optimizer, schedule={"name": schedule, "warmup_epochs": 1}, epochs=2)
    state = create_state(trial, SMALL, CPU)
    settings = [trial.schedule.at(step, 2, 1) for step in range(2)]
    before = weights(state.model)
    for metrics, setting in zip(train_epochs(state, data_of(SMALL), trial), settings, strict=True):
        assert metrics.lr == pytest.approx(trial.optimizer.lr * setting.lr_factor)
        for group in state.optimizer.param_groups:
            assert group["lr"] == pytest.approx(group["initial_lr"] * setting.lr_factor)
            if setting.momentum is not None and group.get("momentum") != 0:
                assert (group["betas"][0] if "betas" in group else group["momentum"]) == setting.momentum
    assert not all(torch.equal(value, before[name]) for name, value in weights(state.model).items())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@every_optimizer
def test_average_sam_parts_and_clipping_work_together(optimizer: dict[str, Any], precision: str) -> None:
    trial = trial_of(
        optimizer=optimizer,
        sam={"rho": 0.05},
        ema={"decay": 0.99},
        clip={"norm": 0.1},
        accumulation=2,
        augmentations=[{"name": "flip"}, {"name": "mixup"}],
        loss={"label_smoothing": 0.1},
        precision=precision,
    )
    start = weights(create_state(trial, SMALL, CPU).model)
    state, _ = trained(trial)
    gradients = [value.grad for value in state.model.parameters() if value.grad is not None]
    assert torch.linalg.vector_norm(torch.stack([grad.norm() for grad in gradients])) <= 0.1 * 1.001
    assert state.average is not None
    decay = 2 / 11
    averaged = weights(state.average.model)
    for name, value in weights(state.model).items():
        torch.testing.assert_close(averaged[name], decay * start[name] + (1 - decay) * value)


@pytest.mark.parametrize("clip", [{"norm": 1.0}, {"value": 0.1}], ids=["norm", "value"])
@every_model
def test_every_model_trains_with_everything_on(model: dict[str, Any], clip: dict[str, float]) -> None:
    trial = trial_of(
        model=model,
        optimizer=OPTIMIZERS["adamw"],
        schedule={"name": "cosine", "warmup_epochs": 1},
        sam={"rho": 0.05},
        ema={"decay": 0.99},
        clip=clip,
        accumulation=2,
        augmentations=[{"name": "crop"}, {"name": "autoaugment"}, {"name": "mixup_or_cutmix"}],
        loss={"name": "hierarchical", "label_smoothing": 0.1},
        evaluation={"mirror": True},
        epochs=2,
    )
    state, _ = trained(trial)
    assert state.average is not None
    scored, raw = state.scored_model(trial), deepcopy(state.model)
    assert scored is state.average.model
    assert any(not torch.equal(a, b) for a, b in zip(scored.parameters(), raw.parameters(), strict=True))
