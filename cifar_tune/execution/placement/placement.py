"""Where each trial trains: on which node, with which share of a card and how many cores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cifar_tune.config.sweep_config import Resources
from cifar_tune.errors import DeviceError
from cifar_tune.execution.cluster.cards import GIGABYTE, Gpu, describe_gpus
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.placement.allocation import WHOLE, ResourceRequest, ResourceShare
from cifar_tune.execution.placement.oom_fallback import NONE, MemoryFallback, in_parts
from cifar_tune.training.trial import TrialConfig

STEP = WHOLE // 20
"""Shares by memory are whole numbers of twentieths: trials of nearly equal need get equal shares and follow each other
in one worker, which to start anew costs seconds."""


MostWorthACard = Callable[[TrialConfig, Gpu], int | None]
"""Says how many trials of a kind a card should hold at most."""


class BytesNeeded(Protocol):
    """Foretells what a trial takes of a card."""

    def __call__(self, trial: TrialConfig, card: Gpu) -> int: ...


@dataclass(frozen=True)
class Policy:
    """How shares are chosen, the same for all trials of a sweep. crowd: trials for each card, if all ran at once."""

    asked: Resources
    on_cards: bool
    crowd: int


@dataclass(frozen=True)
class Request:
    """One trial's wishes. trial: in the micro-batches in which it is to train. wants: of each node."""

    trial: TrialConfig
    wants: ResourceRequest


def policy_of(asked: Resources, nodes: Sequence[Node], trials: int) -> Policy:
    """Returns the policy of a sweep of so many trials.

    Raises:
        DeviceError: more is asked for than any node has; says what there is.
    """
    machines = [node.machine for node in nodes]
    cards = [card for machine in machines for card in machine.gpus]
    _refuse_missing(asked, machines, cards)
    fitting = sum(_fits_name(asked, machine) * len(machine.gpus) for machine in machines)
    on_cards = bool(cards) and asked.gpus != 0
    policy = Policy(asked, on_cards, math.ceil(trials / fitting) if on_cards else 1)
    if not any(slice_of(policy, machine, 0) for machine in machines):
        raise DeviceError(
            f"resources: no node has {asked.ranks if asked.cpus == 'auto' else asked.cpus} CPU cores"
            f"{' beside a card' if on_cards else ''} for a trial; there is {_listed(machines)}"
        )
    return policy


def asked_in_words(policy: Policy) -> str:
    """Returns what a trial is to have of a node."""
    asked = policy.asked
    cpus = asked.ranks if asked.cpus == "auto" else asked.cpus
    cores = f"{cpus} CPU core{'s' if cpus != 1 else ''}"
    if not policy.on_cards:
        return cores
    cards = f"{asked.ranks} GPUs" if asked.ranks > 1 else "room on a GPU"
    named = f" with {asked.card} in {'their names' if asked.ranks > 1 else 'its name'}" if asked.card else ""
    memory = "" if asked.gpu_memory == "auto" else f", {asked.gpu_memory:g} GB of it"
    return f"{cards}{named}{memory}" + ("" if asked.cpus == "auto" else f" and {cores}")


def _refuse_missing(asked: Resources, machines: Sequence[Machine], cards: Sequence[Gpu]) -> None:
    there = _listed(machines)
    if not cards:
        named = asked.model_dump(include={"gpus", "gpu_memory", "trials_per_gpu", "card"}).items()
        wanted = [
            f"resources.{key}: {value if isinstance(value, str) else f'{value:g}'}"
            for key, value in named
            if value not in ("auto", 0, None)
        ]
        if wanted:
            raise DeviceError(
                f"{wanted[0]} asked for, and there is no GPU; there is {there}. "
                "Leave it out, or write `gpus: 0`, to train on the CPU"
            )
        return
    if asked.card is not None and not any(_fits_name(asked, machine) for machine in machines):
        mixed = any(asked.card in card.name for card in cards)
        why = "beside others, among which Ray does not choose" if mixed else "on no node"
        raise DeviceError(f"resources.card: {asked.card} is {why}; there is {describe_gpus(cards)}")
    most = max(len(machine.gpus) for machine in machines)
    if asked.gpus != 0 and asked.ranks > most:
        given = "gpus" if asked.processes == "auto" else "processes"
        raise DeviceError(f"resources.{given}: a trial is to have {asked.ranks} GPUs of one node; there is {there}")
    largest = max(card.usable_bytes for card in cards)
    if asked.gpu_memory != "auto" and asked.gpu_memory * GIGABYTE > largest > 0:
        raise DeviceError(
            f"resources.gpu_memory: a trial is to have {asked.gpu_memory:g} GB; there is {describe_gpus(cards)}, "
            f"of which at most {largest / GIGABYTE:.1f} GB are free"
        )


def _listed(machines: Sequence[Machine]) -> str:
    return "; ".join(dict.fromkeys(map(str, machines)))


def _fits_name(asked: Resources, machine: Machine) -> bool:
    return bool(machine.gpus) and all(asked.card is None or asked.card in card.name for card in machine.gpus)


def smallest_card(machine: Machine) -> Gpu:
    """Returns the card of a node that counts: Ray may choose any, so that a share must be enough on each."""
    return min(machine.gpus, key=lambda card: card.usable_bytes)


def _card_bytes(machine: Machine) -> int:
    return smallest_card(machine).usable_bytes if machine.gpus else 0


def slice_of(
    policy: Policy, machine: Machine, need: int, *, alone: bool = False, most: int | None = None
) -> ResourceShare | None:
    """Returns what a trial that needs so many bytes of a card takes of such a node; None where it does not fit.

    most: trials of its kind that are worth a card; None sets no limit.
    """
    asked, cores = policy.asked, machine.cores * WHOLE
    if not policy.on_cards:
        wanted = (asked.ranks if asked.cpus == "auto" else asked.cpus) * WHOLE
        return ResourceShare(0, wanted) if wanted <= cores else None
    if not _fits_name(asked, machine) or asked.ranks > len(machine.gpus):
        return None
    share = _share(policy, machine, need, alone, most)
    if share is None:
        return None
    given = share * asked.ranks
    wanted = cores * given // (len(machine.gpus) * WHOLE) if asked.cpus == "auto" else asked.cpus * WHOLE
    return ResourceShare(share, wanted, asked.ranks) if wanted <= cores else None


def _share(policy: Policy, machine: Machine, need: int, alone: bool, most: int | None) -> int | None:
    """Parts of a card: as asked; else by memory, and no more trials to a card than cores feed, pay or are planned."""
    asked, usable = policy.asked, smallest_card(machine).usable_bytes
    if asked.gpu_memory != "auto":
        need = int(asked.gpu_memory * GIGABYTE)
    if alone or asked.ranks > 1:
        return WHOLE
    if asked.trials_per_gpu is not None:
        return WHOLE // asked.trials_per_gpu
    if asked.gpus != "auto" and (asked.gpu_memory == "auto" or asked.gpus < 1):
        return round(asked.gpus * WHOLE)
    if not usable:
        return WHOLE
    if need > usable:
        return None
    by_memory = math.ceil(need / usable * WHOLE / STEP) * STEP
    by_cores = math.ceil(len(machine.gpus) / machine.cores * WHOLE) if asked.cpus == "auto" else 0
    by_speed = 0 if most is None else WHOLE // most
    return min(WHOLE, max(by_memory, by_cores, by_speed, WHOLE // policy.crowd))


def request_of(
    policy: Policy,
    nodes: Sequence[Node],
    trial: TrialConfig,
    needed: BytesNeeded,
    relief: MemoryFallback = NONE,
    most: MostWorthACard = lambda _trial, _card: None,
) -> Request:
    """Returns what a trial would take of each node, cut into as small micro-batches as let it fit anywhere.

    All its cards get the same micro-batches, so that it is the same experiment on each. Where not even the smallest
    are foretold to fit, it may try alone on the largest card.
    """
    processes = policy.asked.ranks
    trial = in_parts(trial, relief.parts, processes) or trial
    if relief.recompute:
        trial = trial.model_copy(update={"recompute": True})
    able = {
        node.node_id: node.machine
        for node in nodes
        if not relief.above_bytes
        or (node.machine.gpus and smallest_card(node.machine).usable_bytes > relief.above_bytes)
    }
    while True:
        found = {
            node_id: slice_of(
                policy,
                machine,
                _need(policy, trial, machine, needed, relief),
                alone=relief.alone,
                most=most(trial, smallest_card(machine)) if machine.gpus else None,
            )
            for node_id, machine in able.items()
        }
        wants = {node_id: piece for node_id, piece in found.items() if piece is not None}
        smaller = in_parts(trial, 2, processes)
        if wants or smaller is None:
            break
        trial = smaller
    return Request(trial, wants or _largest_alone(policy, able))


def _need(policy: Policy, trial: TrialConfig, machine: Machine, needed: BytesNeeded, relief: MemoryFallback) -> int:
    asked = policy.asked
    foretold = policy.on_cards and asked.gpus == "auto" and asked.gpu_memory == "auto" and asked.trials_per_gpu is None
    shared = foretold and asked.ranks == 1 and not relief.alone
    return needed(trial, smallest_card(machine)) if shared and machine.gpus else 0


def _largest_alone(policy: Policy, able: Mapping[str, Machine]) -> ResourceRequest:
    pieces = {node_id: slice_of(policy, machine, 0, alone=True) for node_id, machine in able.items()}
    wants = {node_id: piece for node_id, piece in pieces.items() if piece is not None}
    largest = max((_card_bytes(able[node_id]) for node_id in wants), default=0)
    return {node_id: piece for node_id, piece in wants.items() if _card_bytes(able[node_id]) == largest}
