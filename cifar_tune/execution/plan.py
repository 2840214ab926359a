"""`--plan`: what a sweep would run, how long that takes, and whether it fits here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import DatasetError
from cifar_tune.execution.checks import check_data, datasets_of, prepare_data
from cifar_tune.execution.cluster.cards import GIGABYTE
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.disk import disk_need
from cifar_tune.execution.expected_epochs import (
    completed_share,
    planned_epochs,
    planned_trials,
    replacements,
    stopping_epochs,
)
from cifar_tune.execution.placement.memory_record import MemoryRecord, user_record
from cifar_tune.execution.placement.oom_fallback import MemoryFallback
from cifar_tune.execution.placement.placer import Placed, Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.execution.placement.speed_record import SPEED_NAME, SpeedRecord
from cifar_tune.execution.remaining import Remaining
from cifar_tune.search.constraints import limits_of, refused_share
from cifar_tune.search.warm_start import read_warm_start
from cifar_tune.training.datasets.photographs import all_remarks
from cifar_tune.training.datasets.split import training_sizes
from cifar_tune.training.metrics import images_text
from cifar_tune.training.models.resnet import StemModel

if TYPE_CHECKING:
    from cifar_tune.execution.placement.probe import Probe

LEAST_BYTES = 8
"""Of a parameter: itself and its gradient, in float32."""

FORWARD_SHARE = 1 / 3
"""Of a training image's arithmetic; all that a validation image takes."""


def plan(
    sweep: SweepConfig,
    *,
    root: Path,
    folder: Path,
    machine: Machine,
    left: Remaining | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> str:
    """Returns the plan for this machine. Trains a few steps on random images to know the speed; starts no Ray.

    left: to train of a sweep that is there; None: all of it. tell: is told what takes time, before it does.

    Raises:
        DatasetError: what must be known of a data set stands in files that are not there.
        DeviceError: the machine has not what a trial is to have.
    """
    placed, at_once = _placed(sweep, (Node("", "", machine),), root)
    left = left or Remaining(planned_trials(sweep))
    lines = [*_trials(sweep, at_once, left), *_constraints(sweep, root), *_stem(sweep)]
    lines += _warm_start(sweep, root)
    lines += _cost(sweep, root, folder, machine, placed, at_once, left, tell)
    lines += _devices(machine, "devices")
    tell("checking the data")
    lines += [("each trial", str(placed)), *_data(sweep, root)]
    return _page(sweep, lines, left)


def cluster_plan(sweep: SweepConfig, nodes: Sequence[Node], root: Path, left: Remaining | None = None) -> str:
    """Returns the plan for a cluster, whose speed only its trials can tell.

    Raises:
        DeviceError: no node has what a trial is to have.
    """
    placed, at_once = _placed(sweep, nodes, root)
    left = left or Remaining(planned_trials(sweep))
    lines = [
        *_trials(sweep, at_once, left),
        *_stem(sweep),
        ("time", "not known before the first trials have run there"),
    ]
    for node in nodes:
        lines += _devices(node.machine, node.host)
    return _page(sweep, [*lines, ("baseline", str(placed))], left)


def _placed(sweep: SweepConfig, nodes: Sequence[Node], root: Path) -> tuple[Placed, int]:
    """Returns the baseline's place, and how many trials like it run at once."""
    needs = Needs(root, MemoryRecord.read(user_record()), SpeedRecord.read(user_record(SPEED_NAME)))
    placer = Placer(sweep.resources, lambda: nodes, needs, trials=planned_trials(sweep))
    placer.place("baseline", [(sweep.trial, MemoryFallback())])
    return placer["baseline"], placer.at_once(sweep.trial)


def _devices(machine: Machine, label: str) -> Iterator[tuple[str, str]]:
    yield label, str(machine)
    yield from (("", detail) for detail in machine.details())


def _page(sweep: SweepConfig, lines: Sequence[tuple[str, str]], left: Remaining) -> str:
    width = max(len(label) for label, _ in lines)
    head = f"{sweep.name}: {planned_trials(sweep)} trials"
    if left.there:
        head = f"{sweep.name}: {left.new} new trials beside the {left.there} that are there"
    return "\n".join([head, *(f"  {a:<{width}}  {b}" for a, b in lines)])


def _trials(sweep: SweepConfig, at_once: int, left: Remaining) -> Iterator[tuple[str, str]]:
    axes = " x ".join(f"{path} ({len(values)})" for path, values in sweep.grid.items())
    epochs = planned_epochs(sweep, left)
    yield "studies", f"{len(sweep.cells())}: {axes}" if axes else "1"
    yield "trials", f"{sweep.trials_per_study} in each study by {sweep.sampler.name}, {at_once} at once"
    if len(sweep.objectives) > 1:
        yield "objectives", f"{', '.join(one.metric for one in sweep.objectives)}: the Pareto front"
    if left.going_on:
        anew = f", {left.from_the_first} of them from their first epoch: they have no checkpoint to go on from"
        yield "going on", f"{len(left.going_on)} of those that are there{anew if left.from_the_first else ''}"
    yield "searched", ", ".join(sweep.search) or "nothing: the trials of a study differ in their seed"
    stops = ", ".join(map(str, stopping_epochs(sweep)))
    yield "rungs", f"after {stops} of {sweep.trial.epochs} epochs ({sweep.scheduler.name})" if stops else "none"
    still = "still to train: " if left.there else ""
    yield "epochs", f"{still}{epochs.least:,} to {epochs.most:,}, likely about {epochs.likely:,}"


def _stem(sweep: SweepConfig) -> Iterator[tuple[str, str]]:
    """Yields the stem of the baseline's network where the file leaves it to the resolution."""
    model, resolution = sweep.trial.model, sweep.trial.dataset.resolution
    if isinstance(model, StemModel) and "stem" not in model.model_fields_set:
        stem = model.stem_at(resolution)
        pooled = ", then max-pooling: ImageNet's" if stem.maxpool else ""
        shape = f"{stem.kernel}x{stem.kernel} convolution with stride {stem.stride}{pooled}"
        yield "stem", f"{shape}; chosen for {resolution} px, as `model.stem` is not given"


def _constraints(sweep: SweepConfig, root: Path) -> Iterator[tuple[str, str]]:
    if sweep.constraints is not None:
        refused = f"about {refused_share(sweep, root):.0%} of random proposals are refused"
        yield "constraints", f"{sweep.constraints}; {refused}"


def _warm_start(sweep: SweepConfig, root: Path) -> Iterator[tuple[str, str]]:
    told = [line for donor in read_warm_start(sweep, limits_of(sweep, root)) for line in donor.lines()]
    yield from (("" if place else "warm start", line) for place, line in enumerate(told))


def _cost(
    sweep: SweepConfig,
    root: Path,
    folder: Path,
    machine: Machine,
    placed: Placed,
    at_once: int,
    left: Remaining,
    tell: Callable[[str], object],
) -> Iterator[tuple[str, str]]:
    from cifar_tune.execution.placement.probe import BOUND_SECONDS, TooSlow, probe, relative_costs
    from cifar_tune.training.flops import count_parameters
    from cifar_tune.training.loop import Diverged

    info = sweep.trial.dataset.info(root)
    have, where = _memory_of(machine, placed)
    if (fewest := LEAST_BYTES * count_parameters(placed.trial.model, info)) > have:
        yield "memory", f"{_fits(fewest, have, where)}: weights and gradients alone; no speed was measured"
        return
    tell(f"timing a few steps of the baseline on random images, for at most about {BOUND_SECONDS:.0f} s")
    try:
        found = probe(placed.trial, info, device=placed.device, threads=placed.resources.threads)
    except Diverged as error:
        yield "time", f"not known: the baseline DIVERGES, on random images even: {error}"
        return
    except TooSlow as error:
        yield "time", f"not known: {error}"
        yield from _disk(sweep, root, folder, at_once, left)
        return
    tell("counting the arithmetic and the checkpoints of other trials")
    corners = relative_costs(sweep.corner_trials(), root)
    epochs = planned_epochs(sweep, left)
    trained, validated = training_sizes(info, sweep.trial.dataset)
    together = found.images_per_second * placed.resources.processes
    epoch_seconds = (trained + FORWARD_SHARE * validated) / together * sum(corners) / len(corners)
    least, likely, most = (
        _hours(count * epoch_seconds / at_once) for count in (epochs.least, epochs.likely, epochs.most)
    )
    yield "time", f"about {likely} ({least} to {most}), start and waiting aside"
    speed = f"measured: {images_text(found.images_per_second)} of the baseline alone; other trials by their FLOPs"
    several = placed.resources.processes > 1
    yield "", f"{speed}; {placed.resources.processes} processes as so many times one" if several else speed
    yield from _disk(sweep, root, folder, at_once, left)
    yield "memory", _memory(found, machine, placed, at_once)


def _disk(sweep: SweepConfig, root: Path, folder: Path, at_once: int, left: Remaining) -> Iterator[tuple[str, str]]:
    """Yields what the checkpoints will take, beside those that are there."""
    completed, stopped = left.new * completed_share(sweep), left.new * (1 - completed_share(sweep))
    stopped += replacements(sweep) if left.new else 0
    need = disk_need(sweep, root, completed=completed, stopped=stopped, at_once=at_once)
    kept = f"{_size(need.least)} to {_size(need.most)} when it has ended (checkpoints.keep: {sweep.checkpoints.keep})"
    yield "disk", _fits(need.peak, _free_disk(folder), f"free at {folder.parent} while it runs")
    yield "", kept


def _memory(found: Probe, machine: Machine, placed: Placed, at_once: int) -> str:
    trials = at_once if placed.card is None else 1
    return _fits(found.memory_bytes * trials, *_memory_of(machine, placed))


def _memory_of(machine: Machine, placed: Placed) -> tuple[int, str]:
    """Returns the bytes there are, and where."""
    if placed.card is None:
        return machine.memory_bytes, "in this machine"
    return int(placed.card.usable_bytes * placed.resources.gpus), "of a card for each trial"


def _fits(need: float, have: int, where: str) -> str:
    verdict = "" if need <= have else "; DOES NOT FIT"
    return f"about {_size(need)} of {_size(have)} {where}{verdict}"


def _data(sweep: SweepConfig, root: Path) -> Iterator[tuple[str, str]]:
    try:
        check_data(sweep, root)
        prepare_data(sweep, root)
    except DatasetError as error:
        first, *others = f"NOT READY: {error}".split("\n")
        yield from [("data", first), *(("", line) for line in others)]
        return
    yield "data", "there and whole"
    yield from (("", line) for told in all_remarks(datasets_of(sweep), root) for line in told.split("\n"))


def _free_disk(folder: Path) -> int:
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(existing).free


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _size(count: float) -> str:
    return f"{count / GIGABYTE:.1f} GB" if count >= GIGABYTE else f"{count / 1e6:.0f} MB"
