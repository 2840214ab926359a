"""Which pictures a data set has, so that it is noticed when they are others: counted, and told by class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HEX = 16
"""Digits of an identity."""

Part = tuple[np.ndarray, np.ndarray]
"""labels: (N,) int64, identities: (N,) uint64."""


@dataclass(frozen=True)
class DataFingerprint:
    """images: of all parts; of a published set, of the training split. by_content: how the splits are drawn.

    parts: the pictures of `train`, `test` and, where the set brings one, `validation`; of a published set empty.
    """

    class_names: tuple[str, ...]
    images: int
    parts: Mapping[str, Part] = field(default_factory=dict)
    by_content: bool = False

    @classmethod
    def of(cls, class_names: tuple[str, ...], parts: Mapping[str, Part], *, by_content: bool) -> DataFingerprint:
        return cls(class_names, sum(len(labels) for labels, _ in parts.values()), parts, by_content)

    @property
    def digest(self) -> str:
        """Of everything; the order of pictures counts where splits are drawn by position."""
        digest = hashlib.blake2b(repr((self.class_names, self.images)).encode(), digest_size=16)
        for name, (labels, identities) in sorted(self.parts.items()):
            for label in range(len(self.class_names)):
                digest.update(f"{name} {label}".encode())
                digest.update(identities[labels == label].astype(">u8").tobytes())
        return digest.hexdigest()

    def changes(self, now: DataFingerprint) -> str | None:
        """Returns what is otherwise now, in words; None where nothing is."""
        if self.digest == now.digest:
            return None
        told = [f"class {name} is new" for name in now.class_names if name not in self.class_names]
        told += [f"class {name} is gone" for name in self.class_names if name not in now.class_names]
        told += _class_changes(self._by_class(), now._by_class())
        told = told or [*self._moved_between_parts(now)] or ["the same pictures in another order"]
        return f"{self.images:,} pictures then, {now.images:,} now: {', '.join(told)}"

    def as_json(self) -> dict[str, Any]:
        """Returns it as it is recorded: identities in hexadecimal, of each part and class one after the other."""
        parts = {
            name: {
                class_name: "".join(f"{identity:0{HEX}x}" for identity in identities[labels == label].tolist())
                for label, class_name in enumerate(self.class_names)
            }
            for name, (labels, identities) in self.parts.items()
        }
        return {
            "images": self.images,
            "class_names": list(self.class_names),
            "images_by_class": {name: pictures.total() for name, pictures in self._by_class().items()},
            "by_content": self.by_content,
            "digest": self.digest,
            "pictures": parts,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataFingerprint:
        """Returns what `as_json` was made of, class by class."""
        names = tuple(values["class_names"])
        return cls(
            names,
            values["images"],
            {part: _part([by_class[name] for name in names]) for part, by_class in values["pictures"].items()},
            values["by_content"],
        )

    def _by_class(self) -> dict[str, Counter[int]]:
        """Returns the pictures of each class, of all parts together."""
        found: dict[str, Counter[int]] = {name: Counter() for name in self.class_names if self.parts}
        for labels, identities in self.parts.values():
            for label, name in enumerate(self.class_names):
                found[name].update(identities[labels == label].tolist())
        return found

    def _moved_between_parts(self, now: DataFingerprint) -> Iterator[str]:
        for name in dict.fromkeys([*self.parts, *now.parts]):
            before, after = (Counter(one.parts[name][1].tolist() if name in one.parts else ()) for one in (self, now))
            if came := (after - before).total():
                yield f"{came} moved to the {name} split"


def _class_changes(before: Mapping[str, Counter[int]], after: Mapping[str, Counter[int]]) -> Iterator[str]:
    """Yields what has moved from class to class, come to the set and gone from it."""
    names = dict.fromkeys([*before, *after])
    nothing: Counter[int] = Counter()
    came = {name: new for name in names if (new := after.get(name, nothing) - before.get(name, nothing))}
    gone = {name: old for name in names if (old := before.get(name, nothing) - after.get(name, nothing))}
    for name in came:
        for other in gone:
            if moved := came[name] & gone[other]:
                came[name] -= moved
                gone[other] -= moved
                yield f"{moved.total()} moved from {other} to {name}"
    yield from (f"{new.total()} added in {name}" for name, new in came.items() if new)
    yield from (f"{old.total()} removed from {name}" for name, old in gone.items() if old)


def _part(by_class: list[str]) -> Part:
    counts = [len(text) // HEX for text in by_class]
    identities = np.frombuffer(bytes.fromhex("".join(by_class)), dtype=">u8").astype(np.uint64)
    return np.repeat(np.arange(len(by_class), dtype=np.int64), counts), identities
