"""Sets that can grow: a user's own pictures, whose splits are drawn by what each picture is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.hash_split import held_out
from cifar_tune.training.datasets.image_decoding import EncodedImage
from cifar_tune.training.datasets.photographs import Listing, Photographs
from cifar_tune.training.datasets.split import drawn_size, drawn_split

WRITTEN_BY_0_1 = {
    *("resolution", "validation_fraction", "train_size", "split_seed", "mean", "std", "path"),
    *("test_fraction", "test_seed"),
}
"""Results have every option written out. Those of version 0.1 have these and no `draw`: they were drawn by position."""

Pick = Callable[[np.ndarray], Sequence[str | EncodedImage]]
"""Returns the images at these positions."""


class Growing(Photographs):
    """Options of sets that can grow."""

    draw: Literal["content", "position"] = "content"
    """How the test, the validation split and a subset are drawn: by a hash of each picture's bytes, so that it stays
    where it is when others come or go; or by its position in the list, as in results of version 0.1."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of every class kept for the test, where the set has no test split of its own."""
    test_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Draws that share; apart from `split_seed`, so that the test images stay the same whatever a search varies."""

    @model_validator(mode="before")
    @classmethod
    def _recorded_before(cls, data: Any) -> Any:
        if isinstance(data, dict) and "draw" not in data and data.keys() >= WRITTEN_BY_0_1:
            return {**data, "draw": "position"}
        return data

    def drawn(
        self, names: tuple[str, ...], pick: Pick, labels: np.ndarray, place: str, identities: np.ndarray, split: Split
    ) -> Listing:
        """Returns a split of a set that comes without a test split. Raises DatasetError where it cannot be drawn."""
        drawn_size(labels, self.test_fraction)
        test = held_out(labels, identities, self.test_fraction, f"test {self.test_seed}", names)
        chosen = np.flatnonzero(test if split == "test" else ~test)
        return self.listed(names, lambda order: pick(chosen[order]), labels[chosen], place, identities[chosen])

    def listed(
        self,
        names: tuple[str, ...],
        pick: Pick,
        labels: np.ndarray,
        place: str,
        identities: np.ndarray,
        validation: np.ndarray | None = None,
    ) -> Listing:
        """Returns a split in an order that no name has a part in: by class, then by identity."""
        order = np.lexsort((identities, labels))
        ordered = identities[order]
        return Listing(
            names,
            pick(order),
            labels[order],
            place,
            version=lambda: blake2b(ordered.tobytes(), digest_size=16).hexdigest(),
            identities=lambda: ordered,
            by_content=True,
            validation=None if validation is None else validation[order],
        )

    def drawn_by_position(
        self,
        names: tuple[str, ...],
        pick: Pick,
        labels: np.ndarray,
        place: str,
        version: Callable[[Sequence[str | EncodedImage]], str],
        identities: Callable[[], np.ndarray],
        split: Split,
    ) -> Listing:
        """Returns a split as version 0.1 drew it. version: of these images."""
        chosen = drawn_split(labels, self.test_fraction, self.test_seed, split, names)
        sources = pick(chosen)
        return Listing(names, sources, labels[chosen], place, lambda: version(sources), lambda: identities()[chosen])
