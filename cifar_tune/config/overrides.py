"""`--set KEY=VALUE`: values from the command line, put into a document as if they stood in its file.

KEY is a dotted path: `trial.optimizer.lr`, `scheduler.grace_epochs`, `trial.augmentations.crop.padding`. VALUE is YAML.
After `grid.` and `search.` the rest of KEY is one key, since the keys of these blocks are dotted paths themselves:
`search.optimizer.lr={float: [1e-3, 1], log: true}`. There, null takes the key out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from cifar_tune.config.document import Document, value
from cifar_tune.config.messages import unknown
from cifar_tune.config.paths import Loc, locate, replace, with_default_names
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.training.trial import TrialConfig

KEYED_BY_PATH = ("grid", "search")


def apply(document: Document, overrides: Sequence[str]) -> None:
    """Puts each override into the sweep that `document` holds; what cannot be put is added to its problems."""
    if not overrides:
        return
    document.tree = with_default_names(document.tree, SweepConfig)
    document.tree["trial"] = with_default_names(document.tree.get("trial"), TrialConfig)
    for text in overrides:
        key, equals, written = text.partition("=")
        source = f"--set {text}"
        document.overrides.append(source)
        if not equals or not key.strip():
            document.problems.append(Problem(source, None, None, "", "must be KEY=VALUE, such as trial.epochs=5"))
            continue
        try:
            _put(document, key.strip(), value(written, source), source)
        except ConfigError as error:
            document.problems += (dataclasses.replace(one, line=None, column=None) for one in error.problems)
        except LookupError as error:
            document.problems.append(Problem(source, None, None, key.strip(), str(error.args[0])))


def of_trial(overrides: Sequence[str]) -> list[str]:
    """Returns overrides of a trial as those of the sweep around it: `optimizer.lr=1` means `trial.optimizer.lr=1`."""
    return [text if text.startswith("trial.") else f"trial.{text}" for text in overrides]


def _put(document: Document, path: str, new: Any, source: str) -> None:
    head, _, rest = path.partition(".")
    if head in TrialConfig.model_fields and head not in SweepConfig.model_fields:
        raise LookupError(f"unknown key `{head}`; did you mean `trial.{path}`?")
    if head not in SweepConfig.model_fields:
        raise LookupError(unknown("key", head, [*SweepConfig.model_fields]))
    if head in KEYED_BY_PATH and rest:
        loc: Loc = (head, rest)
        entries = document.tree.get(head) or {}
        if new is None and rest not in entries:
            raise LookupError(f"`{head}` has no `{rest}` to take out")
        kept = {key: entry for key, entry in entries.items() if key != rest} if new is None else {**entries, rest: new}
        document.tree[head] = kept
    else:
        loc = locate(document.tree, path)
        document.tree = replace(document.tree, loc, new)
    document.move(loc, source)
