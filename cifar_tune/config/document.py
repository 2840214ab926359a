"""A YAML file as plain values, with the place of each: what messages are written from."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cifar_tune.config.messages import show
from cifar_tune.config.nodes import Builder, Mark, Place, compose
from cifar_tune.config.paths import Loc, dotted
from cifar_tune.errors import ConfigError, Problem

LARGEST_FILE = 1 << 20
"""Bytes; the largest sweep file written for this project has 5 thousand."""
SCHEMA_COMMENT = "# yaml-language-server:"


@dataclass
class Document:
    """A file's content: the values, their places, the comment block at its head, and what was wrong already."""

    source: str
    tree: Any
    places: dict[Loc, Place]
    header: str = ""
    problems: list[Problem] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    """Sources beside the file, in the order in which they were given."""
    unwritten: str = ""
    """A key around the whole file that the file itself does not have."""

    def place(self, loc: Loc) -> Place:
        """Returns the place of `loc`, or of the nearest thing around it that is written in the file."""
        while loc not in self.places:
            loc = loc[:-1]
        return self.places[loc]

    def wrap(self, key: str) -> None:
        """Puts the whole content under a key, which messages leave out."""
        self.tree = {key: self.tree}
        self.places = {(): self.places[()]} | {(key, *loc): place for loc, place in self.places.items()}
        self.unwritten = key

    def move(self, loc: Loc, source: str) -> None:
        """Notes that what stands at `loc`, and what was made around it, comes from `source`, which has no lines."""
        for inner in [place for place in self.places if place[: len(loc)] == loc]:
            del self.places[inner]
        while loc not in self.places:
            self.places[loc] = Place(Mark(source), Mark(source))
            loc = loc[:-1]

    def problem(self, loc: Loc, message: str, at_key: bool) -> Problem:
        """Returns the problem of what stands at `loc`, or should."""
        place = self.place(loc)
        mark = place.key if at_key or loc not in self.places else place.value
        written = loc[1:] if self.unwritten and loc[:1] == (self.unwritten,) else loc
        return Problem(mark.source, mark.line or None, mark.column or None, dotted(written), message)


def read(path: Path) -> Document:
    """Returns the content of a file. Raises ConfigError where there is no readable YAML mapping in it."""
    return parse(_text(path), str(path))


def parse(text: str, source: str) -> Document:
    """Returns the content of a YAML text. Raises ConfigError, with its position, for what is not YAML or no mapping."""
    node = compose(text, source)
    builder = Builder(source)
    tree = builder.build(node, ())
    document = Document(source, tree, builder.places, header(text), builder.problems)
    if not isinstance(tree, dict):
        document.problems.append(builder.problem(node, (), f"the file must hold keys and values, got {show(tree)}"))
        raise ConfigError(document.problems)
    return document


def value(text: str, source: str) -> Any:
    """Returns the single value that a YAML text holds. Raises ConfigError."""
    if not text.strip():
        return None
    builder = Builder(source)
    tree = builder.build(compose(text, source), ())
    if builder.problems:
        raise ConfigError(builder.problems)
    return tree


def header(text: str) -> str:
    """Returns the comment lines at the head of a text, without `# ` and without the line that names the schema."""
    lines = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith(SCHEMA_COMMENT):
            continue
        if not line.startswith("#"):
            break
        lines.append(line[1:].removeprefix(" ").rstrip())
    return "\n".join(lines).strip("\n")


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise _unreadable(path, "is a folder; a YAML file is needed")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file" + _near(path)) from None
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise _unreadable(path, f"is larger than {LARGEST_FILE >> 20} MiB; that is not a sweep file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is not UTF-8 text (byte {error.start + 1})") from None


def _unreadable(path: Path, message: str) -> ConfigError:
    return ConfigError([Problem(str(path), None, None, "", message)])


def _near(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    names = sorted(file.name for file in folder.iterdir() if file.suffix in {".yaml", ".yml"})
    # The examples are in sweeps/, and are named without it; a file of just that name there is meant before any other.
    examples = {file.name: file for file in sorted(Path(folder, "sweeps").glob("*.y*ml"))}
    known = {**examples, **{name: folder / name for name in names}}
    meant = [path.name, f"{path.name}.yaml"]
    exact = [known[name] for name in meant if name in known]
    near = exact or [known[name] for name in difflib.get_close_matches(path.name, known, n=1, cutoff=0.5)]
    if near:
        return f"; did you mean {near[0]}?"
    return f"; {folder} holds {', '.join(names[:12])}" if names else f"; there is no YAML file in {folder}"
