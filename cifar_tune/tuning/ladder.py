"""What is done when a trial runs out of memory. Pure. Steps change where and in what parts it trains, never what."""

from __future__ import annotations

from dataclasses import dataclass, replace

SMALLEST_MICRO_BATCH = 16
"""Images; below, BatchNorm's statistics cost accuracy. Source: Wu & He 2018 (arXiv:1803.08494), figure 1."""


@dataclass(frozen=True)
class Relief:
    """What a trial has been granted for having run out of memory.

    parts: a micro-batch is cut into so many. alone: on its card. above_bytes: its card has more memory than this.
    """

    parts: int = 1
    alone: bool = False
    above_bytes: int = 0


NONE = Relief()


@dataclass(frozen=True)
class Place:
    """Where it ran out. card: its name; empty on a CPU. whole: the card was its own. largest_bytes: of any card."""

    card: str
    card_bytes: int
    whole: bool
    largest_bytes: int


def relieved(relief: Relief, micro_batch: int, place: Place) -> tuple[Relief, str] | None:
    """Returns what to try next, and that in words; None when nothing is left.

    Half the micro-batch once, at the same effective batch; the whole card; a larger card; then halves down to
    `SMALLEST_MICRO_BATCH` images. micro_batch: of the trial that ran out.
    """
    half = (
        replace(relief, parts=2 * relief.parts),
        f"micro-batches of {micro_batch // 2} images instead of {micro_batch}",
    )
    can_halve = micro_batch % 2 == 0 and micro_batch // 2 >= SMALLEST_MICRO_BATCH
    if can_halve and relief == NONE:
        return half
    if place.card and not place.whole:
        return replace(relief, alone=True), f"alone on {place.card}"
    if place.card and place.largest_bytes > place.card_bytes:
        return replace(relief, alone=True, above_bytes=place.card_bytes), f"a larger card than {place.card}"
    return half if can_halve else None
