"""Keys that count only while other keys have certain values. A search over one that is switched off measures noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.losses import AnyLoss
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.optimizers.muon import Muon
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.trial import Ema, Evaluation, Sam

COMPONENTS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "dataset": get_args(get_args(AnyDataset)[0]),
    "augmentations": get_args(get_args(AnyAugmentation)[0]),
    "loss": get_args(get_args(AnyLoss)[0]),
    "optimizer": get_args(get_args(AnyOptimizer)[0]),
    "optimizer.rest": get_args(Muon.model_fields["rest"].annotation),
    "schedule": get_args(get_args(AnySchedule)[0]),
    "sam": (Sam,),
    "ema": (Ema,),
    "evaluation": (Evaluation,),
}
"""What may stand where in a trial. The first is what a file means that does not name one."""

OTHER_KEYS = ("*",)
"""In the place of a switch's keys: all keys of the component, but its name and those that the switch asks for."""


@dataclass(frozen=True)
class Switch:
    """Keys of a component that count only while other keys have certain values.

    Attributes:
        component: Where in a trial. The switch is for the members that have the keys.
        keys: What is switched.
        others: What switches them: keys of the same component, or else of the trial.
        counts: Takes a value of each of `others`, and tells whether `keys` count beside them.
        message: What to tell the user. `{0}` becomes the path of the first of `others`, and so on.
        refused: `varied`: only where grid or search vary the key. `changed`: also where a file gives it another value
            than its default, which may stand in a file for its readers. `given`: any value but false.
    """

    component: str
    keys: tuple[str, ...]
    others: tuple[str, ...]
    counts: Callable[..., bool]
    message: str
    refused: Literal["varied", "changed", "given"] = "changed"


def _above_0(value: float) -> bool:
    return value > 0


def _below_1(value: float) -> bool:
    return value < 1


def _is_null(value: Any) -> bool:
    return value is None


def _is_given(value: Any) -> bool:
    return value is not None


def _splits(validation_fraction: float, train_size: int | None) -> bool:
    return validation_fraction > 0 or train_size is not None


def _lr_falls(every: int, milestones: Sequence[int], epochs: int) -> bool:
    return (milestones[0] if milestones else every) < epochs


def _restarts(period_epochs: int, warmup_epochs: float, epochs: int) -> bool:
    return period_epochs < epochs - warmup_epochs


def _moves(smallest_scale: float, largest_scale: float, *amounts: float) -> bool:
    return smallest_scale != 1 or largest_scale != 1 or any(amounts)


def _scores_average(evaluation: Evaluation | Mapping[str, Any]) -> bool:
    return dict(evaluation).get("weights") != "raw"


def _rises(warmup_start: float, name: str) -> bool:
    return warmup_start < 1 or name not in ("constant", "step")


ABOVE_0, BELOW_1 = "has no effect unless `{0}` is above 0", "has no effect unless `{0}` is below 1"
MOVES = ("smallest_scale", "largest_scale", "degrees", "translate", "shear")
COLOURS = ("brightness", "contrast", "saturation", "hue")
ONE_OF = "has no effect unless at least one is given of"

# "varied": it is not a mistake to switch a component off by its own amount, such as `p: 0`, or to shorten a training in
# order to try it out. Keys that are then without effect may stay in the file. "given": whoever writes `nesterov: true`
# beside a momentum of 0 asks for something, although true is the default.
SWITCHES = (
    Switch(
        "dataset",
        ("split_seed",),
        ("validation_fraction", "train_size"),
        _splits,
        "has no effect unless `{0}` is above 0 or `{1}` is given",
    ),
    Switch("dataset", ("test_fraction", "test_seed"), ("test_split",), _is_null, "has no effect unless `{0}` is null"),
    Switch("augmentations", OTHER_KEYS, ("p",), _above_0, ABOVE_0, "varied"),
    Switch("augmentations", ("mixup_alpha",), ("cutmix_share",), _below_1, BELOW_1, "varied"),
    Switch("augmentations", ("cutmix_alpha",), ("cutmix_share",), _above_0, ABOVE_0, "varied"),
    Switch("augmentations", ("name",), MOVES, _moves, f"{ONE_OF} {', '.join(MOVES)}", "given"),
    Switch("augmentations", ("interpolation", "padding"), MOVES, _moves, f"{ONE_OF} {', '.join(MOVES)}"),
    Switch("augmentations", ("name",), COLOURS, lambda *all_: any(all_), f"{ONE_OF} {', '.join(COLOURS)}", "given"),
    Switch("loss", ("teacher", "temperature"), ("teacher_share",), _above_0, ABOVE_0, "varied"),
    Switch("loss", ("label_smoothing",), ("teacher_share",), _below_1, BELOW_1, "varied"),
    Switch("optimizer", ("nesterov",), ("momentum",), _above_0, ABOVE_0, "given"),
    Switch("optimizer", ("decay_norms_and_biases",), ("weight_decay",), _above_0, ABOVE_0, "varied"),
    Switch(
        "optimizer",
        ("decay_norms_and_biases",),
        ("rest",),
        lambda _: False,
        "has no effect here: Muon moves weight matrices only, and norms and biases follow `{0}`",
    ),
    Switch("schedule", ("warmup_start",), ("warmup_epochs",), _above_0, ABOVE_0),
    Switch("schedule", ("warmup_epochs",), ("warmup_start", "name"), _rises, BELOW_1, "varied"),
    Switch(
        "schedule",
        ("low_momentum", "high_momentum"),
        ("cycle_momentum",),
        bool,
        "has no effect unless `{0}` is true",
    ),
    Switch(
        "schedule",
        ("gamma",),
        ("every", "milestones", "epochs"),
        _lr_falls,
        "has no effect unless `{0}`, or the first of `{1}`, is less than `{2}`",
        "varied",
    ),
    Switch("schedule", ("every", "milestones"), ("gamma",), _below_1, BELOW_1, "varied"),
    Switch(
        "schedule",
        ("period_factor",),
        ("period_epochs", "warmup_epochs", "epochs"),
        _restarts,
        "has no effect unless `{0}` is less than `{2}` without `{1}`",
        "varied",
    ),
    Switch("schedule", ("period_epochs", "period_factor"), ("final",), _below_1, BELOW_1, "varied"),
    Switch("sam", ("adaptive",), ("rho",), _above_0, ABOVE_0),
    Switch("ema", ("decay",), ("evaluation",), _scores_average, "has no effect while `{0}.weights` is raw"),
    Switch("evaluation", ("weights",), ("ema",), _is_given, "has no effect unless `{0}` is given"),
)
