"""No key does nothing: whoever changes one sees other numbers, or is told why not.

Every key of every registered member is changed, and what the member computes is compared with what it computed before.
The keys come from the schemas, so that a new one is checked as soon as it exists. A failure says which key does
nothing. It then needs an effect, or a line in `cifar_tune/config/switches.py`, or one in the tables here.
"""

from __future__ import annotations

import json
import re
import shutil
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from types import NoneType
from typing import Any

import pytest
import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor

from cifar_tune.config.domains import Domain
from cifar_tune.config.load import load_sweep
from cifar_tune.config.samplers import AnySampler, CmaEs
from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.errors import CifarTuneError, ConfigError
from cifar_tune.search.studies.studies import Study
from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model, serialize
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.datasets.hash_split import split_training
from cifar_tune.training.epochs import open_trial
from cifar_tune.training.losses import AnyLoss
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.models import AnyModel
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.stem import Stem
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.optimizers.muon import Muon
from cifar_tune.training.optimizers.setting import apply_setting
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.schedules.schedule import Setting
from cifar_tune.training.state import create_state
from cifar_tune.training.stopping import patience_is_over
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import Clip, EarlyStopping, Ema, Evaluation, Sam, TrialConfig
from tests.contracts.test_datasets import SPECIMENS
from tests.contracts.test_schedulers import curves, session

Options = Mapping[str, Any]
Kind = type[BaseModel]
Effect = Callable[[Any], Any]
"""Returns what a user can see of a member: tensors, numbers and texts."""


def members(union: Any) -> list[Kind]:
    return [*typing.get_args(typing.get_args(union)[0])]


GROUPS: Mapping[str, Sequence[Kind]] = {
    "trial": [TrialConfig],
    "dataset": members(AnyDataset),
    "augmentation": members(AnyAugmentation),
    "model": members(AnyModel),
    "stem": [Stem],
    "loss": members(AnyLoss),
    "optimizer": members(AnyOptimizer),
    "rest": typing.get_args(Muon.model_fields["rest"].annotation),
    "schedule": members(AnySchedule),
    "part": [Sam, Ema, Clip, Evaluation],
    "stopping": [EarlyStopping],
    "sampler": members(AnySampler),
    "scheduler": members(AnyScheduler),
}
"""All that is checked. `rest` is the second rule of Muon."""

VISIBLE = 1e-3
"""Share of the largest number by which one must differ. The layout in memory, which changes nothing but rounding, made
2e-5 of it in a trial of three steps (Intel Xeon, with AVX-512 and with SSE4.1); the least effect of a key was 1e-2."""

EPOCHS, STEPS = 8, 10
"""Of the training that schedules are for, and in each of its epochs."""

TRIAL: Options = {
    "dataset": {"name": "digits", "train_size": 96, "validation_fraction": 0.3},
    "model": {"name": "resnet18", "width": 2},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "precision": "float32",
    "batch_size": 64,
    "epochs": 3,
}
"""Three epochs of one step."""

LEAVES_NUMBERS_ALONE = {
    "asha.audit_fraction": "which trials are not stopped although they should be (test_audit.py)",
    "asha_promotion.audit_fraction": "the same",
    "hyperband.audit_fraction": "the same",
    "median.audit_fraction": "the same",
    "pbt.population": "how many trials there are: it is `trials_per_study` (test_population.py)",
    "huggingface.revision": "which version of a set on the hub; here is a folder, and no network",
    "trial_config.recompute": "memory: the same gradients, computed twice",
    "trial_config.compile": "speed: the same steps, compiled where that is repaid",
    "trial_config.channels_last": "speed: another order of the same numbers in memory",
    "trial_config.deterministic": "which kernels a GPU uses",
    "trial_config.sync_batch_norm": "statistics of several processes; here is one (test_several_processes.py)",
}
"""Keys that change something else."""

SHOWN_BY_THE_DATA = {
    "folder.test_fraction": "of a folder that has no test images of its own",
    "folder.test_seed": "the same",
}
"""Keys that count with some files: whether they do cannot be told from the configuration."""

SPACE: Options = {
    "x": {"float": [0.0, 1.0]},
    "n": {"int": [1, 9]},
    "branch": {"choice": [{"kind": "a", "y": {"float": [0.0, 1.0]}}, {"kind": "b", "z": {"float": [0.0, 1.0]}}]},
}
"""What samplers propose points of."""

CHANGED: Mapping[str, Any] = {
    "augmentation.smallest_scale": 0.5,
    "augmentation.largest_scale": 1.5,
    "dataset.mean": [0.5, 0.5, 0.5],
    "dataset.std": [0.5, 0.5, 0.5],
    "dataset.train_size": 9,
    "digits.train_size": 300,
    "cifar10.train_size": 30,
    "cifar100.train_size": 150,
    "cifar100.validation_fraction": 0.0,
    "folder.path": "flat",
    "huggingface.path": "more",
    "huggingface.test_split": None,
    "huggingface.subset": "another",
    "huggingface.image_column": "another",
    "huggingface.label_column": "another",
    "huggingface.train_split": "test",
    "model.stem": {"kernel": 5, "padding": 2},
    "distillation.teacher": lambda present: present.replace("seed_0", "seed_1"),
    "optimizer.eps": 0.1,
    "rest.eps": 0.1,
    "muon.rest": {"name": "sgd", "lr": 0.1},
    "step.every": 2,
    "step.milestones": [1, 3],
    "tpe.consider_magic_clip": False,
    "cmaes.n_startup_trials": 8,
    "cmaes.popsize": 5,
    "ema.decay": 0.1,
    "clip.norm": 1e-4,
    "clip.value": 1e-4,
    "trial.dataset": {"name": "digits", "train_size": 100, "validation_fraction": 0.3},
    "trial.model": {"name": "mininet", "width": 2},
    "trial.augmentations": [{"name": "crop"}],
    "trial.loss": {"name": "cross_entropy", "label_smoothing": 0.1},
    "trial.optimizer": {"name": "adam", "lr": 0.1},
    "trial.schedule": {"name": "cosine"},
    "trial.sam": {},
    "trial.ema": {},
    "trial.clip": {"norm": 1e-3},
    "trial.early_stopping": {"patience": 1, "min_delta": 1.0},
    "trial.evaluation": {"mirror": True},
    "trial.ghost_batch_size": 4,
    "trial.precision": "bfloat16",
    "trial.compile": False,
    "evaluation.weights": "raw",
}
"""Other values of keys for which the schema alone yields none, by group or member; some follow from the present one."""

NEEDED: Mapping[str, Options] = {
    "optimizer": {"lr": 0.1},
    "rest": {"lr": 0.1},
    "affine": {"degrees": 8.0, "translate": 0.1, "shear": 10.0},
    "color_jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.2, "hue": 0.1},
    "model": {"width": 2},
    "clip": {"norm": 1e-3},
    "distillation": {"teacher_share": 0.5},
    "early_stopping": {"patience": 1, "min_delta": 0.04},
    "nsga2": {"population_size": 4},
    "trial": TRIAL,
}
"""What members cannot be without, or would do nothing without."""

COUNTS_WITH: Mapping[str, Options] = {
    "optimizer.decay_norms_and_biases": {"weight_decay": 0.1},
    "rest.decay_norms_and_biases": {"weight_decay": 0.1},
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

NEVER_COUNTS = {"muon.decay_norms_and_biases": "Muon moves matrices only; `rest` has the key, too"}
"""Keys that a member has from its base, and that are refused when a file gives or varies them."""


def name_of(kind: Kind) -> str:
    field = kind.model_fields.get("name")
    return str(field.default) if field else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def keys_of(group: str, *more: Any) -> list[Any]:
    """A parameter of a test for each key of each member of a group that changes numbers."""
    return [
        pytest.param(group, kind, key, *more, id=f"{group}-{name_of(kind)}.{key}")
        for kind in GROUPS[group]
        for key in kind.model_fields
        if key != "name" and f"{name_of(kind)}.{key}" not in LEAVES_NUMBERS_ALONE
    ]


def look_up(table: Mapping[str, Any], group: str, kind: Kind, key: str) -> Any:
    """The entry for a key of a member, or of all members of a group; None where there is none."""
    return table.get(f"{name_of(kind)}.{key}", table.get(f"{group}.{key}"))


def options_of(group: str, kind: Kind) -> dict[str, Any]:
    """The member with what it needs, as a file has it."""
    named = {"name": name_of(kind)} if "name" in kind.model_fields else {}
    return {**named, **NEEDED.get(name_of(kind), NEEDED.get(group, {}))}


def written(value: Any) -> Any:
    """A value of a schema as a file has it."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def parts_of(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation: types, and choices whole."""
    if typing.get_origin(annotation) in (None, typing.Literal, tuple):
        yield annotation
    else:
        for part in typing.get_args(annotation):
            yield from parts_of(part)


def listed_values(kind: Kind, key: str) -> Iterator[Any]:
    """The values that the schema lists one by one."""
    for part in parts_of(kind.model_fields[key].annotation):
        if part is bool:
            yield from (True, False)
        elif part is NoneType:
            yield None
        elif typing.get_origin(part) is typing.Literal:
            yield from typing.get_args(part)


def other_values(group: str, kind: Kind, key: str, options: Options) -> list[Any]:
    """Other values of a key that its schema has, whether or not they suit the options beside it."""
    present = getattr(kind.model_validate(options), key)
    for name in (f"{name_of(kind)}.{key}", f"{group}.{key}"):
        if name in CHANGED:
            return [CHANGED[name](present) if callable(CHANGED[name]) else CHANGED[name]]
    values = [value for value in listed_values(kind, key) if value is not None]
    numbers = {int, float} & {*parts_of(kind.model_fields[key].annotation)}
    if int in numbers:
        values += [2, 50] if isinstance(present, str | None) else [present + 1, present - 1]
    if float in numbers:
        values += [0.5, 0.3] if isinstance(present, str | None) or not present else [present / 2, present * 2]
    return [value for value in values if value != present and refusal(kind, {**options, key: value}) is not None]


def refusal(kind: Kind, options: Options) -> str | None:
    """Why a member refuses these options, empty if it does not; None where its schema does not have one of them."""
    try:
        kind.model_validate(options)
    except ValidationError as error:
        (problem, *_) = error.errors()
        return problem["msg"] if problem["type"] == "value_error" else None
    return ""


def differ(one: Any, other: Any, visible: float = VISIBLE) -> bool:
    """Tells whether anything differs by more than that share of its size."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape:
            return True
        one, other = one.double(), other.double()
        return bool(((one - other).abs() > visible * torch.maximum(one.abs().max(), other.abs().max())).any())
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) > visible * max(abs(one), abs(other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() != other.keys() or any(differ(one[key], other[key], visible) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) != len(other) or any(differ(*pair, visible) for pair in zip(one, other, strict=True))
    return bool(one != other)


_effects: dict[tuple[Effect, Kind], dict[str, Any]] = {}
"""What was computed already, by the options."""


def effect_of(kind: Kind, options: Options, effect: Effect) -> Any:
    """What a user sees of a member with these options. Computed again, the first must be the same bit for bit."""
    known, label = _effects.setdefault((effect, kind), {}), json.dumps(options, sort_keys=True)
    if label not in known:
        member = kind.model_validate(options)
        known[label] = effect(member)
        assert len(known) > 1 or not differ(known[label], effect(member), visible=0), f"{label}: not the same twice"
    return known[label]


def counts(group: str, kind: Kind, key: str, options: Options, effect: Effect) -> bool:
    """Tells whether another value of the key beside these options shows, or is refused in words about it."""
    before = effect_of(kind, options, effect)
    for value in other_values(group, kind, key, options):
        changed = {**options, key: value}
        reason = refusal(kind, changed)
        try:
            if not reason and differ(before, effect(kind.model_validate(changed))):
                return True
        except CifarTuneError as error:
            reason = str(error)
        if reason and (key in reason or (isinstance(value, str) and value in reason)):
            return True
    return False


def grid_is_refused(group: str, kind: Kind, key: str, options: Options, folder: Path) -> bool:
    """Tells whether a new sweep over the key, beside these options, is refused as one that would have no effect."""
    path = {"augmentation": "augmentations.0", "rest": "optimizer.rest"}.get(group, group)
    if group in ("part", "stopping"):
        path = name_of(kind)
    block = {"rest": {"name": "muon", "lr": 0.1, "rest": options}, "augmentation": [options]}.get(group, options)
    trial = {**TRIAL, "epochs": EPOCHS, path.partition(".")[0]: block}
    present = written(getattr(kind.model_validate(options), key))
    grid = {f"{path}.{key}": [present, *other_values(group, kind, key, options)]}
    file = folder / "sweep.yaml"
    file.write_text(json.dumps({"name": "idle", "trial": trial, "grid": grid}), encoding="utf-8")
    try:
        load_sweep(file, new=True)
    except ConfigError as error:
        return "no effect" in str(error)
    return False


def check(group: str, kind: Kind, key: str, effect: Effect, folder: Path, **needed: Any) -> None:
    """Changes a key by itself and, where that shows nothing, beside what it counts with."""
    options, label = {**options_of(group, kind), **needed}, f"{name_of(kind)}.{key}"
    context = {**options, **(look_up(COUNTS_WITH, group, kind, key) or {})}
    alone = counts(group, kind, key, options, effect)
    beside = alone if context == options else counts(group, kind, key, context, effect)
    assert beside == (label not in NEVER_COUNTS), f"{label} beside {context}"
    if not alone and label not in SHOWN_BY_THE_DATA:
        assert grid_is_refused(group, kind, key, options, folder), f"a sweep over {label} beside {options} is taken"


IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(16) % 6
INFO = DatasetInfo(
    tuple("abcdef"), 3, 8, (0.5,) * 3, (0.25,) * 3, 16, coarse_names=("p", "q", "r"), coarse_of_fine=(0, 1, 2, 2, 1, 1)
)
PIXELS = torch.randint(0, 256, (40, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(256, 6)
    )


def weights_after_three_steps(optimizer: Any) -> Any:
    model = network()
    updates = optimizer.build(model, ("3.",))
    for _ in range(3):
        apply_setting(updates, Setting(1.0))
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
        updates.step()
    return model.state_dict()


def weights_beside_muon(rest: Any) -> Any:
    return weights_after_three_steps(Muon(lr=0.1, rest=rest))


def every_setting(schedule: Any) -> Any:
    total = EPOCHS * STEPS
    return [asdict(schedule.at(step, total, STEPS)) for step in range(total)]


def batch_for(augmentation: Any) -> Batch:
    images = PIXELS if augmentation.moves_pixels_only else PIXELS / 255
    rows = torch.arange(40)
    return Batch(images, rows[:, None] % 6, torch.ones(40, 1), rows, 2)


def untouched_batch(augmentation: Any) -> Any:
    return [getattr(batch_for(augmentation), field.name) for field in fields(Batch)]


def augmented_batch(augmentation: Any) -> Any:
    batch = augmentation.apply(batch_for(augmentation), torch.Generator().manual_seed(0))
    return [getattr(batch, field.name) for field in fields(Batch)]


def weights_and_logits(model: Any) -> Any:
    torch.manual_seed(0)
    built = (ResNet18(width=2, stem=model) if isinstance(model, Stem) else model).build(INFO)
    with torch.no_grad():
        return built.state_dict(), built(IMAGES[:4])


def loss_and_gradients(loss: Any) -> Any:
    batch, model = Batch(IMAGES, LABELS[:, None], torch.ones(16, 1), torch.arange(16), 1), network()
    value, _ = loss.build(INFO, "cpu", load_model)(model, IMAGES, batch)
    return [value.item(), *torch.autograd.grad(value, [*model.parameters()])]


def curve(trial: TrialConfig) -> Any:
    """What a short training leaves: its records without times, and its weights."""
    opened = open_trial(trial, root=Path(), device="cpu")
    records = [asdict(metrics) for metrics in opened.epochs()]
    for record in records:
        record["latency_seconds"] = record["latency_seconds"] is None
        for measured in ("epoch_seconds", "images_per_second", "peak_memory_bytes"):
            del record[measured]
    return records, opened.state.model.state_dict()


def curve_with(part: Any) -> Any:
    """The curve of a trial with this block, which for `evaluation` has a moving average to score."""
    average = {"ema": {"decay": 0.5}} if isinstance(part, Evaluation) else {}
    return curve(TrialConfig.model_validate({**TRIAL, **average, name_of(type(part)): part.model_dump()}))


def ends(stopping: Any) -> Any:
    """After which of eight epochs a trial would end."""
    accuracies = (0.2, 0.5, 0.6, 0.65, 0.68, 0.68, 0.68, 0.68)
    history = [
        EpochMetrics(epoch, 1.0, 0.5, 1.0, accuracy, 0.1, 1, 1, 1) for epoch, accuracy in enumerate(accuracies, 1)
    ]
    return [patience_is_over(history[:last], stopping) for last in range(1, 9)]


def proposals(sampler: Any) -> Any:
    """What a sampler proposes for 24 trials, two at a time."""
    # CMA-ES draws choices at random: what stands in them says nothing of its options.
    named = SPACE if not isinstance(sampler, CmaEs) else {name: SPACE[name] for name in ("x", "n")}
    space = TypeAdapter(dict[str, Domain]).validate_python(named)
    study = Study({}, search=space, sampler=sampler, seed=0, epochs=1)
    proposed = []
    for number in range(0, 24, 2):
        pair = []
        for name in (f"t{number}", f"t{number + 1}"):
            proposed.append(dict((point := study.ask()).answers))
            pair.append((study.add(name, point), point.answers["x"]))
        for trial, x in pair:
            study.report(trial, 1, -abs(x - 0.3))
            study.end(trial, "completed")
    return proposed


def decisions(scheduler: Any) -> Any:
    return session(scheduler, curves(40, seed=0), seed=0).run().decisions


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A trained network, beside which there is another of the name that `CHANGED` gives it."""
    root = tmp_path_factory.mktemp("teachers")
    for seed in (1, 0):
        trial = TrialConfig.model_validate({**TRIAL, "dataset": {"name": "cifar100"}, "seed": seed})
        folder = CheckpointFolder(root / f"seed_{seed}")
        folder.save(serialize(create_state(trial, INFO, torch.device("cpu")), trial, INFO))
    return str(folder.last)


def taught(kind: Kind, teacher: str) -> dict[str, Any]:
    return {"teacher": teacher} if "teacher" in kind.model_fields else {}


EFFECTS: Mapping[str, Effect] = {
    "augmentation": augmented_batch,
    "loss": loss_and_gradients,
    "model": weights_and_logits,
    "optimizer": weights_after_three_steps,
    "part": curve_with,
    "rest": weights_beside_muon,
    "sampler": proposals,
    "schedule": every_setting,
    "scheduler": decisions,
    "stem": weights_and_logits,
    "stopping": ends,
    "trial": curve,
}
"""What is seen of each group; of data sets it depends on their files."""


@pytest.mark.parametrize(
    ("group", "kind", "key", "effect"),
    [
        pytest.param(*one.values, id=one.id, marks=[pytest.mark.slow] * ("sampler-gp." in str(one.id)))
        for group, effect in EFFECTS.items()
        for one in keys_of(group, effect)
    ],
)
def test_a_key_changes_what_its_member_computes(
    group: str, kind: Kind, key: str, effect: Effect, teacher: str, tmp_path: Path
) -> None:
    if key == "initial_weights":
        begun = TrialConfig.model_validate({**TRIAL, key: teacher})
        assert differ(effect_of(kind, TRIAL, effect), effect(begun))
    else:
        check(group, kind, key, effect, tmp_path, **taught(kind, teacher))


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Any, Effect]]]:
    """Makes a small data set: what it needs in a file, and what a user sees of it. The newest is kept."""
    with ExitStack() as stack:
        newest: dict[str, tuple[Any, Effect]] = {}

        def made(name: str) -> tuple[Any, Effect]:
            if name not in newest:
                stack.close()
                newest.clear()
                newest[name] = make_specimen(name, tmp_path_factory.mktemp(name), stack)
            return newest[name]

        yield made


def make_specimen(name: str, root: Path, stack: ExitStack) -> tuple[Any, Effect]:
    def content(dataset: Any) -> Any:
        info, images = dataset.info(root), dataset.load(root, "train")
        split = split_training(images.labels, dataset, images.identities, images.validation, info.class_names)
        pixels = torch.from_numpy(images.pixels.copy())
        return pixels, images.labels.tolist(), [part.tolist() for part in split], asdict(info)

    monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
    monkeypatch.setenv("CIFAR_TUNE_CACHE", str(root / "cache"))
    needed = SPECIMENS[name](root, monkeypatch)
    if (root / "pets").exists():
        shutil.copytree(root / "pets" / "train", root / "flat")
        shutil.copytree(root / "pets", root / "more")
        (root / "more" / "train" / "cat" / "0.png").unlink()
    return needed, content


@pytest.mark.parametrize(("group", "kind", "key"), keys_of("dataset"))
def test_a_key_of_a_data_set_changes_images_or_their_split(
    specimen: Callable[[str], tuple[Any, Effect]], group: str, kind: Kind, key: str, tmp_path: Path
) -> None:
    needed, content = specimen(name_of(kind))
    check(group, kind, key, content, tmp_path, **needed)


@pytest.mark.parametrize("key", [key.partition(".")[2] for key in LEAVES_NUMBERS_ALONE if key.startswith("trial_")])
def test_a_key_that_is_said_to_leave_numbers_alone_does(key: str) -> None:
    (value, *_) = other_values("trial", TrialConfig, key, TRIAL)
    other = curve(TrialConfig.model_validate({**TRIAL, key: value}))
    assert not differ(effect_of(TrialConfig, TRIAL, curve), other)


def test_every_schema_of_a_trial_is_in_a_group() -> None:
    def schemas(annotation: Any) -> Iterator[Kind]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
            for field in annotation.model_fields.values():
                yield from schemas(field.annotation)
        for part in typing.get_args(annotation):
            yield from schemas(part)

    assert {*schemas(TrialConfig)} - {kind for kinds in GROUPS.values() for kind in kinds} == set()


def test_every_line_of_the_tables_is_about_a_key() -> None:
    keys = {
        f"{name}.{key}"
        for group, kinds in GROUPS.items()
        for kind in kinds
        for name in (group, name_of(kind))
        for key in kind.model_fields
    }
    tables = (LEAVES_NUMBERS_ALONE, SHOWN_BY_THE_DATA, CHANGED, COUNTS_WITH, NEVER_COUNTS)
    assert [key for table in tables for key in table if key not in keys] == []
