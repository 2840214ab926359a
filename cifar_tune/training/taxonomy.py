"""Which classes form which superclass."""

from __future__ import annotations

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import DatasetInfo


def superclasses(info: DatasetInfo, wanted_by: str) -> tuple[tuple[int, ...], ...]:
    """Returns for each superclass its classes, in label order; `wanted_by` names who needs them in the message.

    Raises:
        DatasetError: The data set has no coarse labels, or a superclass holds no class.
    """
    if info.coarse_of_fine is None:
        raise DatasetError(
            f"{wanted_by} needs a data set with superclasses (coarse labels), such as cifar100; "
            f"this one has {info.classes} classes ({_few(info.class_names)}) and no superclasses"
        )
    count = len(info.coarse_names) if info.coarse_names else max(info.coarse_of_fine) + 1
    members = tuple(tuple(f for f, c in enumerate(info.coarse_of_fine) if c == coarse) for coarse in range(count))
    empty = [info.coarse_names[c] if info.coarse_names else str(c) for c, classes in enumerate(members) if not classes]
    if empty:
        raise DatasetError(f"{wanted_by} needs at least one class in every superclass; none in {', '.join(empty)}")
    return members


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
