"""YAML text -> plain values, and where in the text each of them stands.

The text is composed by ruamel.yaml (YAML 1.2: `1e-3` is a number, `no` is text) and built here, because positions of
every key and value are needed, in lists and under merge keys too, and because nothing but plain data is wanted:
no tags, no dates, no keys that are not text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from cifar_tune.config.paths import Loc, dotted
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.schema import LARGEST_SEED

MOST_VALUES = 20_000
"""Keys and values after aliases are expanded: a file of 1 kB can expand to 10^9 of them."""
DEEPEST = 50
"""Blocks inside blocks; a conditional space four components deep needs 20."""
MERGE = "tag:yaml.org,2002:merge"
PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}
TEXT = {f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp", "value")}


@dataclass(frozen=True, order=True)
class Mark:
    """A place that a problem can name; line and column count from 1 and are 0 where there is none (an override)."""

    source: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Place:
    """Where a value and the key before it stand; an item of a list stands in for its own key."""

    key: Mark
    value: Mark


def compose(text: str, source: str) -> Node:
    """Returns the nodes of a YAML text. Raises ConfigError, with its position, for what is not YAML or empty."""
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise ConfigError([Problem(source, line, column, "", f"not YAML: {_plain(error)}")]) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise ConfigError([Problem(source, line, column, "", f"not YAML: {error.reason}")]) from None
    except RecursionError:
        raise ConfigError([Problem(source, None, None, "", f"nested more than {DEEPEST} deep")]) from None
    except (YAMLError, ValueError) as error:
        raise ConfigError([Problem(source, None, None, "", f"not YAML: {error}")]) from None
    if not isinstance(node, Node):
        raise ConfigError([Problem(source, 1, 1, "", "the file is empty; a sweep needs at least `name` and `trial`")])
    return node


def _plain(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if "'\\t'" in problem:
        return "a tab; indent with spaces"
    if "another document" in problem or "single document" in str(error.context):
        return "a second document begins (`---`); one file holds one sweep"
    if "mapping values are not allowed" in problem:
        return "a `:` where no key can stand; is the line indented as its neighbours are?"
    if not error.context or not error.problem:
        return problem
    begun = f" (begun on line {error.context_mark.line + 1})" if error.context_mark else ""
    return f"{error.context}{begun}: {problem}"


class Builder:
    """Turns nodes into plain values and notes the place of each."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Loc, Place] = {}
        self.problems: list[Problem] = []
        self._constructor = YAML(typ="safe", pure=True).constructor
        self._open: list[Node] = []
        self._count = 0

    def problem(self, node: Node, loc: Loc, message: str) -> Problem:
        """Returns a problem at the place of a node."""
        mark = self._mark(node)
        return Problem(self.source, mark.line, mark.column, dotted(loc), message)

    def build(self, node: Node, loc: Loc, key: Node | None = None) -> Any:
        """Returns the value of a node at `loc`. Raises ConfigError for what cannot be gone on from."""
        self._tally(node)
        if len(loc) > DEEPEST:
            raise ConfigError([self.problem(node, (), f"nested more than {DEEPEST} deep")])
        if any(node is outer for outer in self._open):
            raise ConfigError([self.problem(key or node, loc, "an alias that contains itself")])
        nothing = isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index
        self.places[loc] = Place(self._mark(key or node), self._mark(key if key and nothing else node))
        if isinstance(node, ScalarNode):
            return self._scalar(node, loc)
        if node.tag not in {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            self.problems.append(self.problem(node, loc, f"the tag {node.tag} is not allowed; only plain YAML is"))
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self.build(item, (*loc, index)) for index, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, loc)
        finally:
            self._open.pop()

    def _tally(self, node: Node) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise ConfigError([self.problem(node, (), f"the file expands to more than {MOST_VALUES} values")])

    def _mapping(self, node: MappingNode, loc: Loc) -> dict[str, Any]:
        merged: dict[str, tuple[Node, Node]] = {}
        own: dict[str, tuple[Node, Node]] = {}
        for key, item in node.value:
            if key.tag == MERGE:
                for inner_key, inner in self._merged(item, loc, ()):
                    merged.setdefault(inner_key.value, (inner_key, inner))
            elif not isinstance(key, ScalarNode) or key.tag not in TEXT:
                self.problems.append(self.problem(key, loc, "a key must be text; put it into quotes"))
            elif key.value in own:
                first = self._mark(own[key.value][0]).line
                message = f"the key stands here twice (first on line {first}); keep one"
                self.problems.append(self.problem(key, (*loc, key.value), message))
            else:
                own[key.value] = key, item
        entries = own | {name: pair for name, pair in merged.items() if name not in own}
        return {name: self.build(item, (*loc, name), key) for name, (key, item) in entries.items()}

    def _merged(self, node: Node, loc: Loc, outer: tuple[Node, ...]) -> Iterator[tuple[Node, Node]]:
        """Yields what `<<: *anchor` or `<<: [*a, *b]` brings in, the nearest first."""
        self._tally(node)
        if any(node is one for one in outer):
            raise ConfigError([self.problem(node, loc, "an alias that contains itself")])
        if isinstance(node, SequenceNode):
            for item in node.value:
                yield from self._merged(item, loc, (*outer, node))
        elif isinstance(node, MappingNode):
            yield from ((key, item) for key, item in node.value if key.tag in TEXT)
            for key, item in node.value:
                if key.tag == MERGE:
                    yield from self._merged(item, loc, (*outer, node))
        else:
            self.problems.append(self.problem(node, loc, "`<<` merges mappings: write `<<: *anchor`"))

    def _scalar(self, node: ScalarNode, loc: Loc) -> Any:
        if node.tag in PLAIN:
            try:
                return self._sized(self._constructor.construct_object(node), node, loc)
            except (ValueError, YAMLError):
                pass
        elif node.tag not in TEXT:
            self.problems.append(self.problem(node, loc, f"the tag {node.tag} is not allowed; only plain YAML is"))
        return node.value

    def _sized(self, value: Any, node: Node, loc: Loc) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST_SEED:
            message = f"the number is too large; whole numbers go to {LARGEST_SEED}"
            self.problems.append(self.problem(node, loc, message))
            return LARGEST_SEED
        return value

    def _mark(self, node: Node) -> Mark:
        return Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
