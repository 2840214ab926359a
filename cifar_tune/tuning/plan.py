"""`--plan`: what a sweep would run, how long that takes, and whether it fits here."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.config.schedulers import Asha, AshaPromotion, Hyperband, MedianStopping, NoScheduler, Pbt, rungs
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.photographs import all_remarks
from cifar_tune.training.datasets.split import training_sizes
from cifar_tune.tuning.checks import check_data, datasets_of, prepare_data
from cifar_tune.tuning.machines.cards import GIGABYTE
from cifar_tune.tuning.machines.devices import Machine
from cifar_tune.tuning.machines.nodes import Node
from cifar_tune.tuning.placing.ladder import Relief
from cifar_tune.tuning.placing.memory_record import MemoryRecord, user_record
from cifar_tune.tuning.placing.needs import Needs
from cifar_tune.tuning.placing.placer import Placed, Placer
from cifar_tune.tuning.placing.speed_record import SPEED_NAME, SpeedRecord
from cifar_tune.tuning.schedulers.asha import bracket_shares
from cifar_tune.tuning.schedulers.hyperband import fill
from cifar_tune.tuning.schedulers.population import replaced
from cifar_tune.tuning.search.constraints import limits_of, refused_share
from cifar_tune.tuning.search.warm_start import read_warm_start

if TYPE_CHECKING:
    from cifar_tune.tuning.placing.probe import Probe

LEAST_BYTES = 8
"""Of a parameter: itself and its gradient, in float32."""

FORWARD_SHARE = 1 / 3
"""Of a training image's arithmetic; all that a validation image takes."""


@dataclass(frozen=True)
class Epochs:
    """Of all trials together. least: each ends at the first rung. likely: one in `reduction_factor` passes a rung."""

    least: int
    likely: int
    most: int


@dataclass(frozen=True)
class Halving:
    """A share of the trials, of which one in `factor` passes each rung."""

    share: float
    rungs: tuple[int, ...] = ()
    factor: int = 1

    def epochs(self, whole: int) -> float:
        """Returns the mean epochs of a trial; whole: of one that is never stopped."""
        stretches = [end - start for start, end in itertools.pairwise((0, *self.rungs, whole))]
        return sum(stretch * (1 / self.factor) ** passed for passed, stretch in enumerate(stretches))


def halvings(sweep: SweepConfig) -> tuple[Halving, ...]:
    """Returns how the scheduler will divide and thin out the trials; of the median rule, that half pass the grace."""
    match sweep.scheduler:
        case Asha(grace_epochs=grace, reduction_factor=factor, brackets=brackets):
            levels = rungs(grace, factor, sweep.trial.epochs)
            shares = bracket_shares(len(levels), factor, brackets)
            return tuple(Halving(share, levels[s:], factor) for s, share in enumerate(shares))
        case AshaPromotion(grace_epochs=grace, reduction_factor=factor):
            return (Halving(1.0, rungs(grace, factor, sweep.trial.epochs), factor),)
        case Hyperband():
            filled = fill(sweep.scheduler, sweep.trial.epochs, sweep.trials_per_study)
            whole = sweep.trials_per_study
            return tuple(Halving(held / whole, levels, sweep.scheduler.reduction_factor) for held, levels in filled)
        case MedianStopping(grace_epochs=grace):
            return (Halving(1.0, (grace,) if grace < sweep.trial.epochs else (), 2),)
        case Pbt(interval_epochs=interval):
            return (Halving(1.0, tuple(range(interval, sweep.trial.epochs, interval))),)
        case NoScheduler():
            return (Halving(1.0),)


def stopping_epochs(sweep: SweepConfig) -> tuple[int, ...]:
    """Returns the epochs at which weak trials are stopped."""
    return tuple(sorted({rung for halving in halvings(sweep) for rung in halving.rungs}))


def planned_epochs(sweep: SweepConfig) -> Epochs:
    """Returns how many epochs the sweep will train, as far as that can be known before it runs."""
    trials, whole = planned_trials(sweep), sweep.trial.epochs
    parts = halvings(sweep)
    least = sum(part.share * (min((*part.rungs, whole)) if part.factor > 1 else whole) for part in parts)
    likely = sum(part.share * part.epochs(whole) for part in parts)
    return Epochs(round(trials * least), round(trials * likely), trials * whole)


def planned_trials(sweep: SweepConfig) -> int:
    """Returns the number of trials in all studies."""
    return len(sweep.cells()) * sweep.trials_per_study


def kept_trials(sweep: SweepConfig) -> int:
    """Returns the number of trials that will have checkpoints, those that take the places of others included."""
    children = 0
    if isinstance(sweep.scheduler, Pbt):
        comparisons = len(range(sweep.scheduler.interval_epochs, sweep.trial.epochs, sweep.scheduler.interval_epochs))
        children = comparisons * replaced(sweep.scheduler.quantile, sweep.trials_per_study)
    return planned_trials(sweep) + children * len(sweep.cells())


def plan(sweep: SweepConfig, *, root: Path, folder: Path, machine: Machine) -> str:
    """Returns the plan for this machine. Trains a few steps on random images to know the speed; starts no Ray.

    Raises:
        DatasetError: what must be known of a data set stands in files that are not there.
        DeviceError: the machine has not what a trial is to have.
    """
    placed, at_once = _placed(sweep, (Node("", "", machine),), root)
    lines = [*_trials(sweep, at_once), *_constraints(sweep, root)]
    lines += _warm_start(sweep, root)
    lines += _cost(sweep, root, folder, machine, placed, at_once)
    lines += _devices(machine, "devices")
    lines += [("each trial", str(placed)), *_data(sweep, root)]
    return _page(sweep, lines)


def cluster_plan(sweep: SweepConfig, nodes: Sequence[Node], root: Path) -> str:
    """Returns the plan for a cluster, whose speed only its trials can tell.

    Raises:
        DeviceError: no node has what a trial is to have.
    """
    placed, at_once = _placed(sweep, nodes, root)
    lines = [*_trials(sweep, at_once), ("time", "not known before the first trials have run there")]
    for node in nodes:
        lines += _devices(node.machine, node.host)
    return _page(sweep, [*lines, ("baseline", str(placed))])


def _placed(sweep: SweepConfig, nodes: Sequence[Node], root: Path) -> tuple[Placed, int]:
    """Returns the baseline's place, and how many trials like it run at once."""
    needs = Needs(root, MemoryRecord.read(user_record()), SpeedRecord.read(user_record(SPEED_NAME)))
    placer = Placer(sweep.resources, lambda: nodes, needs, trials=planned_trials(sweep))
    placer.place("baseline", [(sweep.trial, Relief())])
    return placer["baseline"], placer.at_once(sweep.trial)


def _devices(machine: Machine, label: str) -> Iterator[tuple[str, str]]:
    yield label, str(machine)
    yield from (("", detail) for detail in machine.details())


def _page(sweep: SweepConfig, lines: Sequence[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in lines)
    return "\n".join([f"{sweep.name}: {planned_trials(sweep)} trials", *(f"  {a:<{width}}  {b}" for a, b in lines)])


def _trials(sweep: SweepConfig, at_once: int) -> Iterator[tuple[str, str]]:
    axes = " x ".join(f"{path} ({len(values)})" for path, values in sweep.grid.items())
    epochs = planned_epochs(sweep)
    yield "studies", f"{len(sweep.cells())}: {axes}" if axes else "1"
    yield "trials", f"{sweep.trials_per_study} in each study by {sweep.sampler.name}, {at_once} at once"
    if len(sweep.objectives) > 1:
        yield "objectives", f"{', '.join(one.metric for one in sweep.objectives)}: the Pareto front"
    yield "searched", ", ".join(sweep.search) or "nothing: the trials of a study differ in their seed"
    stops = ", ".join(map(str, stopping_epochs(sweep)))
    yield "rungs", f"after {stops} of {sweep.trial.epochs} epochs ({sweep.scheduler.name})" if stops else "none"
    yield "epochs", f"{epochs.least:,} to {epochs.most:,}, likely about {epochs.likely:,}"


def _constraints(sweep: SweepConfig, root: Path) -> Iterator[tuple[str, str]]:
    if sweep.constraints is not None:
        refused = f"about {refused_share(sweep, root):.0%} of random proposals are refused"
        yield "constraints", f"{sweep.constraints}; {refused}"


def _warm_start(sweep: SweepConfig, root: Path) -> Iterator[tuple[str, str]]:
    told = [line for donor in read_warm_start(sweep, limits_of(sweep, root)) for line in donor.lines()]
    yield from (("" if place else "warm start", line) for place, line in enumerate(told))


def _cost(
    sweep: SweepConfig, root: Path, folder: Path, machine: Machine, placed: Placed, at_once: int
) -> Iterator[tuple[str, str]]:
    from cifar_tune.training.flops import count_parameters
    from cifar_tune.training.loop import Diverged
    from cifar_tune.tuning.placing.probe import probe, relative_costs

    info = sweep.trial.dataset.info(root)
    have, where = _memory_of(machine, placed)
    if (fewest := LEAST_BYTES * count_parameters(placed.trial.model, info)) > have:
        yield "memory", f"{_fits(fewest, have, where)}: weights and gradients alone; no speed was measured"
        return
    try:
        found = probe(placed.trial, info, device=placed.device, threads=placed.resources.threads)
    except Diverged as error:
        yield "time", f"not known: the baseline DIVERGES, on random images even: {error}"
        return
    corners = relative_costs(sweep.corner_trials(), root)
    epochs = planned_epochs(sweep)
    trained, validated = training_sizes(info, sweep.trial.dataset)
    together = found.images_per_second * placed.resources.processes
    epoch_seconds = (trained + FORWARD_SHARE * validated) / together * sum(corners) / len(corners)
    least, likely, most = (
        _hours(count * epoch_seconds / at_once) for count in (epochs.least, epochs.likely, epochs.most)
    )
    yield "time", f"about {likely} ({least} to {most}), start and waiting aside"
    speed = f"measured: {found.images_per_second:,.0f} images/s of the baseline alone; other trials by their FLOPs"
    several = placed.resources.processes > 1
    yield "", f"{speed}; {placed.resources.processes} processes as so many times one" if several else speed
    yield "disk", _fits(found.checkpoint_bytes * kept_trials(sweep), _free_disk(folder), f"free at {folder.parent}")
    yield "memory", _memory(found, machine, placed, at_once)


def _memory(found: Probe, machine: Machine, placed: Placed, at_once: int) -> str:
    trials = at_once if placed.card is None else 1
    return _fits(found.memory_bytes * trials, *_memory_of(machine, placed))


def _memory_of(machine: Machine, placed: Placed) -> tuple[int, str]:
    """Returns the bytes there are, and where."""
    if placed.card is None:
        return machine.memory_bytes, "in this machine"
    return int(placed.card.usable_bytes * placed.resources.gpus), "of a card for each trial"


def _fits(need: int, have: int, where: str) -> str:
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


def _size(count: int) -> str:
    return f"{count / GIGABYTE:.1f} GB" if count >= GIGABYTE else f"{count / 1e6:.0f} MB"
