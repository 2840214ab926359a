"""What is done when a trial runs out of memory. Pure.

Steps change where and in what parts it trains; what BatchNorm normalises changes with the parts, and with that the
results, unless `ghost_batch_size` says it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cifar_tune.training.trial import TrialConfig

SMALLEST_MICRO_BATCH = 16
"""Images that BatchNorm normalises together, where no `ghost_batch_size` says it; below, its statistics cost accuracy.

Source: Wu & He 2018 (arXiv:1803.08494), figure 1."""


@dataclass(frozen=True)
class MemoryFallback:
    """What a trial has been granted for having run out of memory.

    parts: a micro-batch is cut into so many. recompute: activations are computed again instead of kept. alone: on its
    card. above_bytes: its card has more memory than this.
    """

    parts: int = 1
    recompute: bool = False
    alone: bool = False
    above_bytes: int = 0


NONE = MemoryFallback()


@dataclass(frozen=True)
class Place:
    """Where it ran out. card: its name; empty on a CPU. whole: the card was its own. largest_bytes: of any card that it
    may have."""

    card: str
    card_bytes: int
    whole: bool
    largest_bytes: int


def next_fallback(
    relief: MemoryFallback, trial: TrialConfig, place: Place, processes: int = 1
) -> tuple[MemoryFallback, str] | None:
    """Returns what to try next, and that in words; None when nothing is left.

    Half the micro-batch once, at the same effective batch; activations computed again; the whole card; a larger card;
    then halves down to the smallest. trial: that ran out, as it trained.
    """
    size = trial.micro_batch_size
    can_halve = in_parts(trial, 2, processes) is not None
    half = replace(relief, parts=2 * relief.parts), f"micro-batches of {size // 2} images instead of {size}"
    if can_halve and relief == NONE:
        return half
    if not trial.recompute:
        return replace(relief, recompute=True), "activations computed again instead of kept"
    if place.card and not place.whole:
        return replace(relief, alone=True), f"alone on {place.card}"
    if place.card and place.largest_bytes > place.card_bytes:
        return replace(relief, alone=True, above_bytes=place.card_bytes), f"a larger card than {place.card}"
    return half if can_halve else None


def in_parts(trial: TrialConfig, parts: int, processes: int = 1) -> TrialConfig | None:
    """Returns the trial with its micro-batches cut into so many; None where BatchNorm or division forbids it."""
    size, rest = divmod(trial.micro_batch_size, parts)
    together = trial.ghost_batch_size or SMALLEST_MICRO_BATCH
    smallest = max(together, 2 * processes) if trial.sync_batch_norm else together * processes
    uneven = trial.ghost_batch_size is not None and size % smallest
    if rest or uneven or size < smallest:
        return None
    return trial.model_copy(update={"accumulation": trial.accumulation * parts})
