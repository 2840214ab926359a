"""No setting does nothing: whoever changes a key of a trial file sees other numbers, or is told why not.

Every key of every registered member is changed, and what the member computes is compared with what it computed before.
Keys come from the schemas: a new one is found here as soon as it exists.
"""

from __future__ import annotations

import re
import shutil
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import annotated_types
import pytest
import torch
from pydantic import BaseModel, TypeAdapter, ValidationError

from cifar_tune.config.domains import Domain
from cifar_tune.config.idle import idle_findings
from cifar_tune.config.samplers import AnySampler, CmaEs
from cifar_tune.config.schedulers import AnyScheduler, Asha, Pbt
from cifar_tune.errors import CifarTuneError
from cifar_tune.search.studies.studies import Study
from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model, packed
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.split import split_positions
from cifar_tune.training.epochs import open_trial
from cifar_tune.training.losses import AnyLoss
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.models import AnyModel
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.stem import Stem
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.optimizers.setting import apply_setting
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.schedules.schedule import Setting
from cifar_tune.training.state import create_state
from cifar_tune.training.stopping import patience_is_over
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import Clip, EarlyStopping, Ema, Evaluation, Sam, TrialConfig
from tests.contracts.test_datasets import SPECIMENS
from tests.contracts.test_schedulers import curves, session

Values = Mapping[str, Any]
Effect = tuple[Any, ...]
"""What a user can see of a member: tensors and numbers."""

TRIAL: Mapping[str, Any] = {
    "dataset": {"name": "digits", "train_size": 96, "validation_fraction": 0.3},
    "model": {"name": "resnet18", "width": 2},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "precision": "float32",
    "batch_size": 16,
    "epochs": 3,
}

LEAVES_NUMBERS_ALONE = {
    "audit_fraction": "which trials are not stopped although they should be (test_audit.py)",
    "pbt.population": "how many trials there are: it is `trials_per_study` (test_population.py)",
    "recompute": "memory: the same gradients, computed twice",
    "compile": "speed: the same steps, compiled where that is repaid",
    "channels_last": "speed: another order of the same numbers in memory",
    "deterministic": "which kernels a GPU uses",
    "sync_batch_norm": "the statistics of several processes; here is one (test_several_processes.py)",
}
"""Keys that change something else."""

SPACE: Mapping[str, Any] = {
    "x": {"float": [0.0, 1.0]},
    "n": {"int": [1, 9]},
    "branch": {"choice": [{"kind": "a", "y": {"float": [0.0, 1.0]}}, {"kind": "b", "z": {"float": [0.0, 1.0]}}]},
}
"""What samplers propose points of."""

CHANGED: dict[str, Any] = {
    "dataset.resolution": 12,
    "dataset.validation_fraction": 0.25,
    "dataset.mean": (0.5, 0.5, 0.5),
    "dataset.std": (0.5, 0.5, 0.5),
    "cifar100.labels": "coarse",
    "folder.path": "flat",
    "huggingface.path": "more",
    "huggingface.test_split": None,
    "augmentation.degrees": 90.0,
    "augmentation.smallest_scale": 0.5,
    "augmentation.largest_scale": 1.5,
    "randaugment.magnitude": 30,
    "trial.dataset": {"name": "digits", "train_size": 100, "validation_fraction": 0.3},
    "trial.sam": {},
    "trial.ema": {},
    "trial.clip": {"norm": 1e-3},
    "trial.early_stopping": {"patience": 1, "min_delta": 1.0},
    "trial.evaluation": {"mirror": True},
    "trial.ghost_batch_size": 4,
    "evaluation.weights": "raw",
    "model.stem": {"kernel": 5, "padding": 2},
    "step.milestones": (1, 3),
    "dataset.test_fraction": 0.5,
    "cifar100.validation_fraction": 0.0,
    "tpe.consider_magic_clip": False,
    "cmaes.n_startup_trials": 8,
    "cmaes.popsize": 5,
    "ema.decay": 0.1,
    "clip.norm": 1e-4,
    "clip.value": 1e-4,
    "dataset.train_size": 9,
    "digits.train_size": 300,
    "cifar10.train_size": 30,
    "cifar100.train_size": 150,
    "huggingface.subset": "another",
    "huggingface.revision": "another",
    "huggingface.image_column": "another",
    "huggingface.label_column": "another",
    "huggingface.train_split": "test",
    "trial.precision": "bfloat16",
    "trial.optimizer": {"name": "adam", "lr": 0.1},
    "trial.model": {"name": "mininet", "width": 2},
    "trial.schedule": {"name": "cosine"},
    "trial.augmentations": ({"name": "flip"},),
    "trial.loss": {"name": "cross_entropy", "label_smoothing": 0.1},
    "muon.rest": {"name": "sgd", "lr": 0.1},
    "step.every": 2,
}
"""Values of keys for which the schema alone yields none, by group or member."""

NEEDED: dict[str, Values] = {
    "sgd": {"lr": 0.1},
    "adam": {"lr": 0.1},
    "adamw": {"lr": 0.1},
    "rmsprop": {"lr": 0.1},
    "lion": {"lr": 0.1},
    "muon": {"lr": 0.1},
    "affine": {"degrees": 8.0, "translate": 0.1, "shear": 10.0},
    "color_jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.2, "hue": 0.1},
    "model": {"width": 4},
    "clip": {"norm": 1e-3},
    "early_stopping": {"patience": 1, "min_delta": 0.04},
    "nsga2": {"population_size": 4},
    "trial_config": TRIAL,
}
"""What members cannot be without."""

COUNTS_WITH: Mapping[str, Values] = {
    "optimizer.decay_norms_and_biases": {"weight_decay": 0.1},
    "clip.value": {"norm": None, "value": 1e-3},
    "step.gamma": {"every": 2},
    "tpe.multivariate": {"group": False},
    "folder.test_fraction": {"path": "flat"},
    "folder.test_seed": {"path": "flat"},
    "huggingface.test_fraction": {"test_split": None},
    "huggingface.test_seed": {"test_split": None},
    "schedule.warmup_start": {"warmup_epochs": 1.0},
    "warm_restarts.period_factor": {"period_epochs": 1},
}
"""Contexts for keys that have an effect only beside others."""


REFUSED: Mapping[str, str] = {
    "huggingface.subset": "there is no such subset",
    "huggingface.revision": "a folder has none; the hub's sets do",
    "cifar100.train_size": "fewer would leave a class without an image to validate on",
    "huggingface.train_split": "it is the test split",
    "huggingface.image_column": "there is no such column",
    "huggingface.label_column": "there is no such column",
}
"""Keys of which every other value is refused beside what the member needs, and why."""

IDLE: Mapping[str, str] = {"muon.decay_norms_and_biases": "muon updates matrices alone; `rest` has the key, too"}
"""Keys that never count, and are refused when a file gives or varies them."""

SHOWN_BY_DATA_OR_LENGTH = {
    ("schedule", "gamma"),
    ("dataset", "test_fraction"),
    ("dataset", "test_seed"),
    ("dataset", "split_seed"),
    ("schedule", "period_factor"),
    ("part", "value"),
}
"""Keys that count with some data, or in a longer training: nobody can tell from the file alone."""


def members(union: Any) -> list[type[BaseModel]]:
    return [*typing.get_args(typing.get_args(union)[0])]


def keys_of(group: str, kinds: list[type[BaseModel]]) -> list[Any]:
    """A parameter of a test for each key of each member."""
    return [
        pytest.param(group, kind, key, id=f"{name_of(kind)}.{key}")
        for kind in kinds
        for key in kind.model_fields
        if key != "name" and not {key, f"{name_of(kind)}.{key}"} & LEAVES_NUMBERS_ALONE.keys()
    ]


def name_of(kind: type[BaseModel]) -> str:
    field = kind.model_fields.get("name")
    return str(field.default) if field else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def named(kind: type[BaseModel]) -> Values:
    """By what a member of a union is chosen; nothing for what is not one."""
    return {"name": name_of(kind)} if "name" in kind.model_fields else {}


def look_up(table: Mapping[str, Any], group: str, kind: type[BaseModel], key: str) -> Any:
    """The value for a key of a member, or of all members of a group; None where there is none."""
    return table.get(f"{name_of(kind)}.{key}", table.get(f"{group}.{key}"))


def another_value(group: str, kind: type[BaseModel], key: str, present: Any) -> Any:
    """Another value that the schema allows."""
    if f"{name_of(kind)}.{key}" in CHANGED or f"{group}.{key}" in CHANGED:
        return look_up(CHANGED, group, kind, key)
    field = kind.model_fields[key]
    options = [option for option in allowed(field.annotation) if option != present]
    if options:
        return options[0]
    least = [getattr(bound, "ge", getattr(bound, "gt", None)) for bound in bounds(field)]
    most = [getattr(bound, "le", getattr(bound, "lt", None)) for bound in bounds(field)]
    least, most = [one for one in least if one is not None], [one for one in most if one is not None]
    if numbers(field.annotation) is int:
        return (present or max(least, default=1)) + 1
    if present is None:
        return max(least, default=0.0) + 0.5
    return present / 2 if present else min(0.3, *(one / 2 for one in most)) if most else 0.3


def allowed(annotation: Any) -> Iterator[Any]:
    """The values of a choice, or of a switch."""
    if annotation is bool:
        yield from (True, False)
    elif typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
    else:
        for inner in typing.get_args(annotation):
            if typing.get_origin(annotation) is not tuple:
                yield from allowed(inner)


def bounds(field: Any) -> list[annotated_types.BaseMetadata]:
    def inside(annotation: Any) -> Iterator[Any]:
        for one in getattr(annotation, "__metadata__", ()):
            yield from getattr(one, "metadata", [one])
        for one in typing.get_args(annotation):
            yield from inside(one)

    return [*field.metadata, *inside(field.annotation)]


def numbers(annotation: Any) -> type | None:
    """int or float, whichever a key holds."""
    if annotation in (int, float):
        return typing.cast("type", annotation)
    return next((kind for inner in typing.get_args(annotation) if (kind := numbers(inner))), None)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def outcome(
    kind: type[BaseModel], key: str, value: Any, effect: Callable[[Any], Effect], needed: Values
) -> Literal["same", "other", "refused"]:
    """What changing a key comes to, beside what the member needs."""
    fixed = {**named(kind), **needed}
    base = kind.model_validate(fixed)
    before = effect(base)
    assert equal(before, effect(base)), "the effect is not the same twice"
    try:
        after = effect(kind.model_validate({**fixed, key: value}))
    except (ValidationError, CifarTuneError):
        return "refused"
    return "same" if equal(before, after) else "other"


def check(group: str, kind: type[BaseModel], key: str, effect: Callable[[Any], Effect]) -> None:
    """Changes a key by itself and, where that shows nothing, beside what it counts with."""
    needed = NEEDED.get(name_of(kind), NEEDED.get(group, {}))
    present = kind.model_validate({**named(kind), **needed})
    value = another_value(group, kind, key, getattr(present, key))
    alone = outcome(kind, key, value, effect, needed)
    changed = f"{name_of(kind)}.{key}, {value} instead of {getattr(present, key)}"
    idle, refused = look_up(IDLE, group, kind, key), look_up(REFUSED, group, kind, key)
    context = None if idle else look_up(COUNTS_WITH, group, kind, key)
    expected = {"refused"} if refused else {"same"} if idle else {"same", "refused"} if context else {"other"}
    assert alone in expected, f"{changed}: {alone}"
    if context is not None:
        assert outcome(kind, key, value, effect, {**needed, **context}) == "other", f"{changed}: same with {context}"
    if alone == "same" and (group, key) not in SHOWN_BY_DATA_OR_LENGTH:
        varied = {"trial": {group: {"name": name_of(kind)}}, "search": {f"{group}.{key}": {"choice": [0, 1]}}}
        assert [*idle_findings(varied)], f"{group}.{key} does nothing by itself, and a search over it is not refused"


IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(16) % 6
INFO = DatasetInfo(
    tuple("abcdef"), 3, 8, (0.5,) * 3, (0.25,) * 3, 16, coarse_names=("p", "q", "r"), coarse_of_fine=(0, 1, 2, 2, 1, 1)
)


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(256, 6)
    )


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("optimizer", members(AnyOptimizer)))
def test_a_key_of_an_optimizer_changes_the_weights(group: str, kind: type[BaseModel], key: str) -> None:
    def weights(optimizer: Any) -> Effect:
        model = network()
        updates = optimizer.build(model, ("3.",))
        for _ in range(3):
            apply_setting(updates, Setting(1.0))
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
            updates.step()
        return (model.state_dict(),)

    check(group, kind, key, weights)


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("schedule", members(AnySchedule)))
def test_a_key_of_a_schedule_changes_a_step(group: str, kind: type[BaseModel], key: str) -> None:
    check(group, kind, key, lambda schedule: tuple(asdict(schedule.at(step, 80, 10)) for step in range(80)))


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("augmentation", members(AnyAugmentation)))
def test_a_key_of_an_augmentation_changes_the_batch(group: str, kind: type[BaseModel], key: str) -> None:
    pixels = torch.randint(0, 256, (40, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))

    def batches(augmentation: Any) -> Effect:
        images = pixels if augmentation.moves_pixels_only else pixels / 255
        rows, weights = torch.arange(40), torch.ones(40, 1)
        batch = augmentation.apply(Batch(images, rows[:, None] % 6, weights, rows, 2), torch.Generator().manual_seed(0))
        return tuple(getattr(batch, field.name) for field in fields(Batch))

    check(group, kind, key, batches)


@pytest.mark.parametrize(("group", "kind", "key"), [*keys_of("model", members(AnyModel)), *keys_of("stem", [Stem])])
def test_a_key_of_a_model_changes_its_weights_or_its_logits(group: str, kind: type[BaseModel], key: str) -> None:
    def logits(model: Any) -> Effect:
        torch.manual_seed(0)
        built = (ResNet18(width=2, stem=model) if isinstance(model, Stem) else model).build(INFO)
        return built.state_dict(), built(IMAGES[:4])

    check(group, kind, key, logits)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two trained networks that differ."""
    folders = [CheckpointFolder(tmp_path_factory.mktemp("teacher")) for _ in range(2)]
    for seed, folder in enumerate(folders):
        trial = TrialConfig.model_validate({**TRIAL, "dataset": {"name": "cifar100"}, "seed": seed})
        folder.save(packed(create_state(trial, INFO, torch.device("cpu")), trial, INFO))
    return [str(folder.last) for folder in folders]


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("loss", members(AnyLoss)))
def test_a_key_of_a_loss_changes_its_value(
    group: str, kind: type[BaseModel], key: str, teachers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NEEDED, "distillation", {"teacher": teachers[0]})
    monkeypatch.setitem(CHANGED, "distillation.teacher", teachers[1])
    batch = Batch(IMAGES, LABELS[:, None], torch.ones(16, 1), torch.arange(16), 1)
    check(group, kind, key, lambda loss: loss.build(INFO, "cpu", load_model)(network(), IMAGES, batch))


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("dataset", members(AnyDataset)))
def test_a_key_of_a_data_set_changes_images_or_their_split(
    group: str, kind: type[BaseModel], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_TUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(NEEDED, name_of(kind), SPECIMENS[name_of(kind)](tmp_path, monkeypatch))
    if (tmp_path / "pets").exists():
        shutil.copytree(tmp_path / "pets" / "train", tmp_path / "flat")
        shutil.copytree(tmp_path / "pets", tmp_path / "more")
        (tmp_path / "more" / "train" / "cat" / "0.png").unlink()

    def content(dataset: Any) -> Effect:
        images = dataset.load(tmp_path, "train")
        split = [part.tolist() for part in split_positions(images.labels, dataset)]
        return torch.from_numpy(images.pixels), images.labels.tolist(), split, asdict(dataset.info(tmp_path))

    check(group, kind, key, content)


@pytest.mark.parametrize("key", [key for key in TrialConfig.model_fields if key not in LEAVES_NUMBERS_ALONE])
def test_a_key_of_a_trial_changes_its_curve(key: str, teachers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANGED, "trial.initial_weights", teachers[0])
    check("trial", TrialConfig, key, curve)


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("part", [Sam, Ema, Clip, Evaluation]))
def test_a_key_of_a_part_of_a_trial_changes_its_curve(group: str, kind: type[BaseModel], key: str) -> None:
    ema = {"ema": {"decay": 0.5}} if kind is Evaluation else {}

    def effect(part: Any) -> Effect:
        return curve(TrialConfig.model_validate({**TRIAL, **ema, name_of(kind): part.model_dump()}))

    check(group, kind, key, effect)


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("part", [EarlyStopping]))
def test_a_key_of_early_stopping_changes_the_last_epoch(group: str, kind: type[BaseModel], key: str) -> None:
    accuracies = (0.2, 0.5, 0.6, 0.65, 0.68)
    history = [
        EpochMetrics(epoch, 1.0, 0.5, 1.0, accuracy, 0.1, 1, 1, 1) for epoch, accuracy in enumerate(accuracies, 1)
    ]
    check(group, kind, key, lambda part: tuple(patience_is_over(history[:last], part) for last in range(1, 6)))


@pytest.mark.parametrize(
    ("group", "kind", "key"),
    [
        pytest.param(*one.values, id=one.id, marks=[pytest.mark.slow] * one.id.startswith("gp."))
        for one in keys_of("sampler", members(AnySampler))
    ],
)
def test_a_key_of_a_sampler_changes_its_proposals(group: str, kind: type[BaseModel], key: str) -> None:
    # CMA-ES draws choices at random: what stands in them says nothing of its options.
    named = SPACE if kind is not CmaEs else {name: domain for name, domain in SPACE.items() if name != "branch"}
    space = TypeAdapter(dict[str, Domain]).validate_python(named)

    def proposals(sampler: Any) -> Effect:
        """Of 24 trials, two at a time."""
        study = Study({}, search=space, sampler=sampler, seed=0, epochs=1)
        proposed = []
        for number in range(0, 24, 2):
            pair = []
            for name in (f"t{number}", f"t{number + 1}"):
                proposed.append(dict((point := study.ask()).answers))
                pair.append((study.add(name, point), point.answers["x"]))
            for place, x in pair:
                study.report(place, 1, -abs(x - 0.3))
                study.end(place, "completed")
        return tuple(proposed)

    check(group, kind, key, proposals)


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("scheduler", members(AnyScheduler)))
def test_a_key_of_a_scheduler_changes_its_decisions(group: str, kind: type[BaseModel], key: str) -> None:
    def decisions(scheduler: Any) -> Effect:
        return tuple(session(scheduler, curves(40, seed=0), seed=0).run().decisions)

    check(group, kind, key, decisions)


def test_what_leaves_numbers_alone_is_still_a_key() -> None:
    assert set(LEAVES_NUMBERS_ALONE) <= {
        *TrialConfig.model_fields,
        *Asha.model_fields,
        *(f"pbt.{key}" for key in Pbt.model_fields),
    }


def curve(trial: TrialConfig) -> Effect:
    """What a short training leaves: its records without times, and its weights."""
    opened = open_trial(trial, root=Path(), device="cpu")
    records = [asdict(metrics) for metrics in opened.epochs()]
    for record in records:
        record["latency_seconds"] = record["latency_seconds"] is None
        for measured in ("epoch_seconds", "images_per_second", "peak_memory_bytes"):
            del record[measured]
    return records, opened.state.model.state_dict()
